import Certificates
import FoundationEssentials
import RolloutModel

/// The newest revocation list that a controller has at hand, and where it lies.
struct FoundRevocations {
  let path: String
  let list: RevocationList

  /// The newest list beside the authority's certificate; where that is one that `cert issue` has brought, the authority's own counts, too.
  /// Nil where there is none. Errors: a list of this authority can't be read.
  static func newest(authority: String) throws -> FoundRevocations? {
    let folder = authority.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
      separator: "/")
    let place = folder.isEmpty ? (authority.hasPrefix("/") ? "/" : ".") : folder
    var newest: FoundRevocations?
    for path in ["\(place)/crl.pem", "\(place)/../../crl.pem"] {
      guard FileManager.default.fileExists(atPath: path) else { continue }
      let own = path == "\(place)/crl.pem"
      do {
        let bytes = Array(try Data(contentsOf: URL(filePath: path)))
        let list = try RevocationList(
          bytes, authorityFile: Array(try Data(contentsOf: URL(filePath: authority))))
        if newest.map({ list.number > $0.list.number }) ?? true {
          newest = FoundRevocations(path: path, list: list)
        }
      } catch {
        // Where another authority's folder happens to lie above, its list is none of ours.
        guard own || isOfSame(authority, "\(place)/../..") else { continue }
        throw CommandError.invalid(
          "\(escapedForTerminal(path)), which says whose certificates are revoked: \(escapedForTerminal("\(error)"))"
        )
      }
    }
    return newest
  }

  /// Whether a folder is that of the authority whose certificate is in a file.
  private static func isOfSame(_ file: String, _ folder: String) -> Bool {
    FileManager.default.contentsEqual(atPath: file, andPath: "\(folder)/ca.pem")
  }

  /// What a person must know of a list whose time is over; nil while it counts. Such a list still revokes what it names, but may not name all.
  func warning(at wall: Int64) -> String? {
    guard wall > list.nextUpdate else { return nil }
    return "WARNING: \(escapedForTerminal(path)): this revocation list ended at "
      + "\(Words.clock(list.nextUpdate)): an agent whose certificate was revoked since it was signed is believed. "
      + "Make a new one with `switchyard cert crl` where the authority is, or copy its newest crl.pem here"
  }
}
