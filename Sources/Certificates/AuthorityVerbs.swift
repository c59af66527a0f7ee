import RolloutModel

extension Authority {
  /// Issues a certificate to somebody who has none that counts. Its files go to `out`, or to `issued/NAME` below the authority.
  public func issue(
    _ request: CertificateRequest, to out: String? = nil
  ) throws(AuthorityError) -> IssuedCertificate {
    try change { work throws(AuthorityError) in
      let now = work.now
      let live = work.index.records.last { $0.name == request.name && $0.state(at: now) == .valid }
      if let live {
        throw .refused(
          "\(request.name) has a certificate that counts: \(live.serial)",
          hint: "renew it with `switchyard cert renew`, or revoke it first")
      }
      let prepared = try work.prepare(request, to: out)
      try work.issue([prepared])
      return prepared.issued
    }
  }

  /// Issues certificates to those of these who have none that counts, or whose files are not in `issued/NAME`: what was broken off
  /// is gone on with. They are issued by the hundred, none of which leaves before all are signed. The value is what is in the
  /// index since, and why no more is where something failed; then the last ones' files may be missing. Errors: nothing was
  /// issued.
  public func issueMissing(
    _ requests: [CertificateRequest]
  ) throws(AuthorityError) -> (issued: [CertificateRecord], failure: AuthorityError?) {
    try change { work throws(AuthorityError) in
      let missing = try Self.missing(requests, work.index, at: work.now, in: work.files.folder)
      let before = work.index.records.count
      var failure: AuthorityError?
      do throws(AuthorityError) {
        for start in stride(from: 0, to: missing.count, by: Self.atOnce) {
          _ = try Self.issue(missing.dropFirst(start).prefix(Self.atOnce), to: nil, in: &work)
        }
      } catch { failure = error }
      let issued = Array(work.index.records.dropFirst(before))
      if let failure, issued.isEmpty { throw failure }
      return (issued, failure)
    }
  }

  /// Which of these `issueMissing` would issue. Issues nothing. Refused: an authority whose list's time is over, with which no agent
  /// would let anybody in.
  public func missing(_ requests: [CertificateRequest]) throws(AuthorityError) -> [CertificateRequest] {
    let folder = try open()
    let now = try now()
    return try folder.locked(shared: true) { () throws(AuthorityError) in
      let contents = try Self.contents(AuthorityFiles(folder: folder))
      try Self.checkCurrent(contents.list, at: now)
      return try Self.missing(requests, contents.index, at: now, in: folder)
    }
  }

  private static func missing(
    _ requests: [CertificateRequest], _ index: AuthorityIndex, at now: Int64, in folder: OpenFolder
  ) throws(AuthorityError) -> [CertificateRequest] {
    let newest = Dictionary(index.newest.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
    var seen: Set<CertificateName> = []
    var missing: [CertificateRequest] = []
    for request in requests where seen.insert(request.name).inserted {
      if let record = newest[request.name], record.state(at: now) == .valid {
        // One for another use is not taken from its owner: whoever wants to use it here is told.
        if record.role != request.role { continue }
        if try hasFiles(record, in: folder) { continue }
      }
      missing.append(request)
    }
    return missing
  }

  /// Whether a certificate's own files are where they were issued to. Errors: they are damaged, or can't be read.
  private static func hasFiles(
    _ record: CertificateRecord, in folder: OpenFolder
  ) throws(AuthorityError) -> Bool {
    guard folder.has("\(AuthorityFiles.issuedName)/\(record.name)/\(record.name.certificateFile)") else {
      return false
    }
    do throws(AuthorityError) {
      _ = try issued(record.name, record, in: folder)
      return true
    } catch {
      guard error.kind == .refused else { throw error }
      return false
    }
  }

  /// Issues new certificates with new keys to those who have one: the same names, the same use, and as many days where no others
  /// are asked for. The old ones count until their end.
  ///
  /// Without names all are meant whose newest certificate is not revoked; with `within` only those that end within so many
  /// milliseconds; `out` is for one name alone. They are issued by the hundred, none of which leaves before all are signed.
  public func renew(
    _ names: [String]? = nil, within: Int64? = nil, days: Int? = nil, to out: String? = nil
  ) throws(AuthorityError) -> [IssuedCertificate] {
    let checked = try names.map(Self.distinct)
    guard out == nil || checked?.count == 1 else {
      throw .refused("one folder is named for several certificates", hint: "renew them one by one")
    }
    return try change { work throws(AuthorityError) in
      var records = work.index.newest.filter { $0.revocation == nil }
      if let checked {
        records = try checked.map { name throws(AuthorityError) in try Self.renewable(name, in: work) }
      }
      records.removeAll { record in within.map { record.notAfter - work.now > $0 } ?? false }
      let requests = try records.map { record throws(AuthorityError) in
        try CertificateRequest(again: record, days: days)
      }
      var issued: [IssuedCertificate] = []
      for start in stride(from: 0, to: requests.count, by: Self.atOnce) {
        issued += try Self.issue(requests.dropFirst(start).prefix(Self.atOnce), to: out, in: &work)
      }
      return issued
    }
  }

  /// Certificates that are signed, and issued, together: each has a folder open until then, of which a process may have few.
  private static var atOnce: Int { 100 }

  private static func issue(
    _ requests: ArraySlice<CertificateRequest>, to out: String?, in work: inout AuthorityWork
  ) throws(AuthorityError) -> [IssuedCertificate] {
    var prepared: [AuthorityWork.Prepared] = []
    for request in requests { prepared.append(try work.prepare(request, to: out)) }
    try work.issue(prepared)
    return prepared.map(\.issued)
  }

  /// Revokes every certificate of a name that is not revoked yet, and signs a new list.
  public func revoke(
    _ name: String, reason: RevocationReason
  ) throws(AuthorityError) -> [CertificateRecord] {
    let name = try CertificateName.checked(name)
    return try revoke("\(name)", reason) { $0.name == name }
  }

  /// Revokes one certificate, and signs a new list.
  public func revoke(
    _ serial: CertificateSerial, reason: RevocationReason
  ) throws(AuthorityError) -> [CertificateRecord] {
    try revoke("the serial number \(serial)", reason) { $0.serial == serial }
  }

  /// Signs the revocation list anew, so that it counts for longer. This also mends a list that is missing, damaged or behind the
  /// index.
  public func signList() throws(AuthorityError) -> RevocationList {
    let folder = try open()
    return try folder.locked { () throws(AuthorityError) in
      let files = AuthorityFiles(folder: folder)
      let certificate = try files.certificate()
      let index = try files.index()
      // A list that can't be read is what this mends.
      let list = try? files.list(by: certificate)
      if let list { try files.checkIsNewest(index, list) }
      var work = try AuthorityWork(
        files: files, certificate: certificate, index: index, list: list, now: try now(), time: time)
      try work.signList()
      return try Self.contents(files).list
    }
  }

  private func revoke(
    _ what: String, _ reason: RevocationReason, _ isMeant: (CertificateRecord) -> Bool
  ) throws(AuthorityError) -> [CertificateRecord] {
    try change { work throws(AuthorityError) in
      let places = work.index.records.indices.filter { isMeant(work.index.records[$0]) }
      guard !places.isEmpty else {
        throw .refused(
          "no certificate of \(what) was issued here", hint: "`switchyard cert list` shows those that were")
      }
      let open = places.filter { work.index.records[$0].revocation == nil }
      guard !open.isEmpty else {
        throw .refused("every certificate of \(what) is revoked already", hint: "there is nothing to do")
      }
      for place in open {
        work.index.records[place].revocation = CertificateRecord.Revocation(at: work.now, reason: reason)
      }
      try work.signList()
      return open.map { work.index.records[$0] }
    }
  }

  /// Hands the authority to `body` while nobody else changes it.
  private func change<Value>(
    _ body: (inout AuthorityWork) throws(AuthorityError) -> Value
  ) throws(AuthorityError) -> Value {
    let folder = try open()
    return try folder.locked { () throws(AuthorityError) in
      let files = AuthorityFiles(folder: folder)
      let contents = try Self.contents(files)
      // The clock is read under the lock, so that who waited does not come before those it waited for.
      var work = try AuthorityWork(
        files: files, certificate: contents.certificate, index: contents.index, list: contents.list,
        now: try now(), time: time)
      return try body(&work)
    }
  }

  private static func renewable(
    _ name: CertificateName, in work: AuthorityWork
  ) throws(AuthorityError) -> CertificateRecord {
    guard let record = work.index.records.last(where: { $0.name == name }) else {
      throw .refused(
        "\(name) has no certificate of this authority", hint: "issue one with `switchyard cert issue`")
    }
    guard record.revocation == nil else {
      throw .refused(
        "the newest certificate of \(name) is revoked",
        hint: "if it is to be trusted again, issue one with `switchyard cert issue`")
    }
    return record
  }

  private static func distinct(_ names: [String]) throws(AuthorityError) -> [CertificateName] {
    var distinct: [CertificateName] = []
    for name in names {
      let name = try CertificateName.checked(name)
      if !distinct.contains(name) { distinct.append(name) }
    }
    return distinct
  }
}
