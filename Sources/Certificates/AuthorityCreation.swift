import Crypto
import Glibc
import Ports
import RolloutModel
import X509

extension Authority {
  /// Makes a new authority; refused where anything is in its folder. It appears whole or not at all.
  ///
  /// Without a name it gets one that tells it from other authorities.
  public func create(
    named name: String? = nil, days: Int = CertificateLimits.usualAuthorityDays
  ) throws(AuthorityError) -> AuthorityContents {
    let name = try Self.checked(name ?? "Switchyard authority \(String(time.chance >> 32, radix: 16))")
    guard CertificateLimits.authorityDays.contains(days) else {
      throw .refused(
        "an authority of \(days) days is asked for",
        hint:
          "from \(CertificateLimits.authorityDays.lowerBound) to \(CertificateLimits.authorityDays.upperBound)"
      )
    }
    let now = try now()
    let serial = try CertificateSerial.random { time.chance }
    let path = try OpenFolder.checked(directory)
    let parent = try Self.makeParent(of: path)
    let (folder, temporary) = try Self.temporaryFolder(beside: path)
    var isPlaced = false
    // Nothing is left of an authority that did not come about; its names are the ones that are written below.
    defer { if !isPlaced { Self.remove(temporary) } }
    try Self.write(named: name, days: days, now: now, serial: serial, to: folder)
    guard rename(temporary, path) == 0 else { throw Self.isTaken(path, errno) }
    isPlaced = true
    let above = Glibc.open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard above >= 0 else { throw .unusable(parent, "can't be opened as a folder", errno) }
    defer { close(above) }
    guard fsync(above) == 0 else { throw .unusable(parent, "can't be made durable", errno) }
    return try read()
  }

  /// A name that can be printed anywhere: it stands in every certificate.
  private static func checked(_ name: String) throws(AuthorityError) -> String {
    guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy({ (0x20...0x7e).contains($0) }),
      name.utf8.contains(where: { $0 != 0x20 })
    else {
      throw .refused(
        "“\(escapedForTerminal(name, limit: 80))” can't be an authority's name",
        hint: "64 characters of ASCII at most, and not only spaces")
    }
    return name
  }

  private static func write(
    named name: String, days: Int, now: Int64, serial: CertificateSerial, to folder: OpenFolder
  ) throws(AuthorityError) {
    let key = P256.Signing.PrivateKey()
    let from = now - CertificateTime.slack
    let certificate: Certificate
    let files: [StagedFile]
    do {
      certificate = try CertificateMaker.authority(
        named: name, serial: serial, key: key, from: from, to: now + Int64(days) * CertificateTime.day)
      let list = try RevocationList.signed(
        number: 1, from: from, to: now + Int64(CertificateLimits.listDays) * CertificateTime.day, entries: [],
        authority: certificate, key: key)
      files = [
        try StagedFile(CertificateMaker.pem(key), as: AuthorityFiles.keyName, isSecret: true, in: folder),
        try StagedFile(
          CertificateMaker.pem(certificate), as: AuthorityFiles.certificateName, isSecret: false, in: folder),
        try StagedFile(
          PEM.text(PEM.revocationList, list), as: AuthorityFiles.listName, isSecret: false, in: folder),
        try StagedFile(
          AuthorityIndex(listNumber: 1, records: []).bytes(), as: AuthorityFiles.indexName, isSecret: true,
          in: folder),
      ]
    } catch let error as AuthorityError { throw error } catch { throw .unsignable("the authority", error) }
    for file in files { try file.place() }
    try folder.sync()
  }

  private static func makeParent(of path: String) throws(AuthorityError) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    guard slash != path.startIndex else { return "/" }
    let parent = String(path[..<slash])
    var made = parent.hasPrefix("/") ? "/" : ""
    for part in parent.split(separator: "/") {
      made += made.isEmpty || made.hasSuffix("/") ? String(part) : "/\(part)"
      guard mkdir(made, 0o700) != 0 else { continue }
      let code = errno
      var about = stat()
      guard stat(made, &about) == 0, about.st_mode & S_IFMT == S_IFDIR else {
        throw .unusable(made, "can't be made a folder", code, hint: "name another folder")
      }
    }
    return parent
  }

  private static func temporaryFolder(beside path: String) throws(AuthorityError) -> (OpenFolder, String) {
    var template = Array("\(path).XXXXXX".utf8CString)
    // Made for its owner alone.
    guard mkdtemp(&template) != nil else {
      throw .unusable(path, "can't be made", errno, hint: "name a folder in one that you may write to")
    }
    let name = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let folder = try OpenFolder.open(name, .ownerAlone) else {
      throw .unusable(name, "went away while it was opened", ENOENT, hint: "try again")
    }
    return (folder, name)
  }

  private static func remove(_ folder: String) {
    for name in [
      AuthorityFiles.keyName, AuthorityFiles.certificateName, AuthorityFiles.listName,
      AuthorityFiles.indexName,
    ] {
      unlink("\(folder)/\(name)")
    }
    rmdir(folder)
  }

  private static func isTaken(_ path: String, _ code: Int32) -> AuthorityError {
    let place = escapedForTerminal(path)
    switch code {
    case EEXIST, ENOTEMPTY:
      return .refused(
        "there is something in \(place) already", hint: "an authority is never replaced: name a new folder")
    case ENOTDIR: return .refused("\(place) is there and is no folder", hint: "name a new folder")
    default: return .unusable(path, "can't be put in its place", code, hint: "name a new folder")
    }
  }
}
