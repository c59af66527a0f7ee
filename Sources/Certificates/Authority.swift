import FoundationEssentials
import Ports
import RolloutModel
import X509

/// A certificate authority in a folder, and the clock and chance that it works by.
///
/// Everything blocks for a few operations on files, and for another process that is changing the same authority.
public struct Authority: Sendable {
  /// Where its files are.
  public let directory: String
  let time: any Timekeeper

  /// The authority in a folder, which need not be there.
  public init(directory: String, time: any Timekeeper) {
    self.directory = directory
    self.time = time
  }

  /// What is in the folder, if all of it is sound. Changes nothing.
  public func read() throws(AuthorityError) -> AuthorityContents {
    let folder = try open()
    return try folder.locked(shared: true) { () throws(AuthorityError) in
      try Self.contents(AuthorityFiles(folder: folder))
    }
  }

  /// Opens the folder, which has an authority in it.
  func open() throws(AuthorityError) -> OpenFolder {
    let folder = try OpenFolder.open(directory, .ownerAlone)
    guard let folder, folder.has(AuthorityFiles.indexName) || folder.has(AuthorityFiles.certificateName)
    else {
      throw .refused(
        "there is no certificate authority in \(escapedForTerminal(directory))",
        hint: "name its folder with --authority, or make one with `switchyard cert init`")
    }
    return folder
  }

  /// What the clock says, if that can be.
  func now() throws(AuthorityError) -> Int64 {
    let wall = CertificateTime.trimmed(time.wall)
    guard CertificateTime.believable.contains(wall) else {
      throw .refused(
        "this machine's clock says \(CertificateTime.date(wall).formatted(.iso8601))",
        hint: "set it: certificates count from then on")
    }
    return wall
  }

  /// Everything but the key; throws what is wrong first.
  static func contents(_ files: AuthorityFiles) throws(AuthorityError) -> AuthorityContents {
    let certificate = try files.certificate()
    let index = try files.index()
    guard let list = try files.list(by: certificate) else {
      throw .damaged(
        "\(escapedForTerminal(files.folder.path(of: AuthorityFiles.listName))) is missing",
        hint: "sign it anew with `switchyard cert crl`")
    }
    try files.compare(list, index)
    return AuthorityContents(certificate: certificate, index: index, list: list)
  }
}
