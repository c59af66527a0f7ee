import RolloutModel
import X509

/// What a look at all of an authority's files has shown.
public struct AuthorityInspection: Hashable, Sendable {
  /// What is there; nil where too little of it can be read.
  public let contents: AuthorityContents?
  /// Everything that is wrong.
  public let damage: [AuthorityError]
}

extension Authority {
  /// Looks at every file, also at the key, and tells all that is wrong. Changes nothing.
  public func inspect() throws(AuthorityError) -> AuthorityInspection {
    let folder: OpenFolder
    do throws(AuthorityError) { folder = try open() } catch {
      guard error.kind != .refused else { throw error }
      return AuthorityInspection(contents: nil, damage: [error])
    }
    return try folder.locked(shared: true) { Self.inspection(AuthorityFiles(folder: folder)) }
  }

  private static func inspection(_ files: AuthorityFiles) -> AuthorityInspection {
    var damage: [AuthorityError] = []
    func attempt<Value>(_ body: () throws(AuthorityError) -> Value) -> Value? {
      do throws(AuthorityError) { return try body() } catch {
        damage.append(error)
        return nil
      }
    }
    let certificate = attempt { () throws(AuthorityError) in try files.certificate() }
    let index = attempt { () throws(AuthorityError) in try files.index() }
    guard let certificate else { return AuthorityInspection(contents: nil, damage: damage) }
    _ = attempt { () throws(AuthorityError) in try files.key(of: certificate) }
    guard let index else { return AuthorityInspection(contents: nil, damage: damage) }
    let list = attempt { () throws(AuthorityError) in
      guard let list = try files.list(by: certificate) else {
        throw .damaged(
          "\(escapedForTerminal(files.folder.path(of: AuthorityFiles.listName))) is missing",
          hint: "sign it anew with `switchyard cert crl`")
      }
      return list
    }
    guard let list else { return AuthorityInspection(contents: nil, damage: damage) }
    _ = attempt { () throws(AuthorityError) in try files.compare(list, index) }
    return AuthorityInspection(
      contents: AuthorityContents(certificate: certificate, index: index, list: list), damage: damage)
  }
}
