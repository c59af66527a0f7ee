import Crypto
import Ports
import X509

/// An authority that is being changed: its folder is locked, its files are sound, and its key is at hand.
struct AuthorityWork {
  /// A certificate that is signed but has not left yet.
  struct Prepared {
    let issued: IssuedCertificate
    fileprivate let folder: OpenFolder
    fileprivate let files: [StagedFile]
  }

  let files: AuthorityFiles
  let certificate: Certificate
  var index: AuthorityIndex
  let now: Int64
  private let key: P256.Signing.PrivateKey
  private let time: any Timekeeper
  private var serials: Set<CertificateSerial>

  /// `list` is the last one, where it can be read.
  init(
    files: AuthorityFiles, certificate: Certificate, index: AuthorityIndex, list: RevocationList?, now: Int64,
    time: any Timekeeper
  ) throws(AuthorityError) {
    let last = max(CertificateTime.wall(certificate.notValidBefore), list?.thisUpdate ?? 0)
    guard now >= last else {
      throw .refused(
        "this machine's clock is behind the last time that the authority signed something",
        hint: "set the clock")
    }
    guard now < CertificateTime.wall(certificate.notValidAfter) else {
      throw .refused("the authority has expired", hint: "make a new one with `switchyard cert init`")
    }
    self.files = files
    self.certificate = certificate
    self.index = index
    self.now = now
    self.time = time
    key = try files.key(of: certificate)
    serials = Set(index.records.map(\.serial))
  }

  /// Signs a certificate, and writes its files under temporary names.
  mutating func prepare(_ request: CertificateRequest, to out: String?) throws(AuthorityError) -> Prepared {
    let delivery = try Delivery(of: request.name, to: out, authority: files.folder)
    let key = P256.Signing.PrivateKey()
    let record = try record(of: request)
    do {
      let certificate = try CertificateMaker.leaf(
        record, key: key.publicKey, authority: self.certificate, authorityKey: self.key)
      let files = try delivery.stage(certificate, key, from: files)
      let issued = IssuedCertificate(
        record: record, certificate: certificate, folder: delivery.folder.path)
      return Prepared(issued: issued, folder: delivery.folder, files: files)
    } catch let error as AuthorityError { throw error } catch {
      throw .unsignable("the certificate of \(request.name)", error)
    }
  }

  /// Lets prepared certificates go. All of them are in the index, durably, before the first one has its name: what is out can
  /// be revoked.
  mutating func issue(_ prepared: [Prepared]) throws(AuthorityError) {
    var longer = index
    longer.records += prepared.map(\.issued.record)
    try stage(longer).place()
    index = longer
    try files.folder.sync()
    for certificate in prepared {
      for file in certificate.files { try file.place() }
      try certificate.folder.sync()
    }
  }

  /// Signs a list of all that the index revokes. The index comes first: a list that is behind it is seen and signed anew, an
  /// index behind the list would take revocations back.
  mutating func signList() throws(AuthorityError) {
    index.listNumber += 1
    let list: [UInt8]
    do {
      list = try RevocationList.signed(
        number: index.listNumber, from: now - CertificateTime.slack,
        to: now + Int64(CertificateLimits.listDays) * CertificateTime.day, entries: index.revoked,
        authority: certificate, key: key)
    } catch { throw .unsignable("the revocation list", error) }
    let file = try StagedFile(
      PEM.text(PEM.revocationList, list), as: AuthorityFiles.listName, isSecret: false, in: files.folder)
    try stage(index).place()
    try files.folder.sync()
    try file.place()
    try files.folder.sync()
  }

  private func stage(_ index: AuthorityIndex) throws(AuthorityError) -> StagedFile {
    try StagedFile(index.bytes(), as: AuthorityFiles.indexName, isSecret: true, in: files.folder)
  }

  private mutating func record(of request: CertificateRequest) throws(AuthorityError) -> CertificateRecord {
    let serial = try CertificateSerial.random { time.chance }
    guard serials.insert(serial).inserted else { throw .withoutChance }
    let begin = CertificateTime.wall(certificate.notValidBefore)
    let end = CertificateTime.wall(certificate.notValidAfter)
    return CertificateRecord(
      serial: serial, name: request.name, role: request.role, alternativeNames: request.alternativeNames,
      days: request.days, notBefore: max(now - CertificateTime.slack, begin),
      notAfter: min(now + Int64(request.days) * CertificateTime.day, end))
  }
}
