import Crypto
import RolloutModel
import X509

/// Where a certificate's four files go: `NAME.key`, `NAME.pem`, `ca.pem`, `crl.pem`.
struct Delivery {
  let folder: OpenFolder
  private let name: CertificateName

  /// Into `out`, or where there is none into the name's own folder below the authority.
  init(of name: CertificateName, to out: String?, authority: OpenFolder) throws(AuthorityError) {
    self.name = name
    if let out {
      guard let given = try Self.given(out) else {
        throw .refused(
          "\(escapedForTerminal(out)) can't be made: the folder above it is missing", hint: "make that first")
      }
      folder = given
    } else {
      folder = try authority.folder(AuthorityFiles.issuedName, .ownerAlone).folder(name.text, .ownerAlone)
    }
    try checkIsOurs(authority)
  }

  private static func given(_ path: String) throws(AuthorityError) -> OpenFolder? {
    if let folder = try OpenFolder.open(path, .writtenByOwnerAlone) { return folder }
    let path = try OpenFolder.checked(path)
    let slash = path.lastIndex(of: "/")
    let above = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let last = slash.map { String(path[path.index(after: $0)...]) } ?? path
    return try OpenFolder.open(above, .writtenByOwnerAlone)?.folder(last, .writtenByOwnerAlone)
  }

  /// Only files that came from the same authority are replaced: another's would be lost, with the keys.
  private func checkIsOurs(_ authority: OpenFolder) throws(AuthorityError) {
    let ours = try AuthorityFiles(folder: authority).certificateFile()
    if try folder.read(AuthorityFiles.certificateName, atMost: AuthorityFiles.smallFile) == ours { return }
    let names = [
      AuthorityFiles.certificateName, AuthorityFiles.listName, name.certificateFile, name.keyFile,
    ]
    guard let taken = names.first(where: folder.has) else { return }
    throw .refused(
      "\(escapedForTerminal(folder.path(of: taken))) is there and did not come from this authority",
      hint: "name another folder, or move it away")
  }

  /// The files, durable under temporary names, in the order in which they are to be placed: the key goes before its
  /// certificate, and who meets one of them alone reads both again.
  func stage(
    _ certificate: Certificate, _ key: P256.Signing.PrivateKey, from files: AuthorityFiles
  ) throws -> [StagedFile] {
    [
      try StagedFile(CertificateMaker.pem(key), as: name.keyFile, isSecret: true, in: folder),
      try StagedFile(
        CertificateMaker.pem(certificate), as: name.certificateFile, isSecret: false, in: folder),
      try StagedFile(
        files.certificateFile(), as: AuthorityFiles.certificateName, isSecret: false, in: folder),
      try StagedFile(files.listFile(), as: AuthorityFiles.listName, isSecret: false, in: folder),
    ]
  }
}
