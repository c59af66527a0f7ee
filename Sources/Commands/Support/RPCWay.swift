import AgentRPC
import Certificates
import EventLoop
import FoundationEssentials
import Ports
import RolloutModel

/// The RPC door that an agent file or options name.
enum RPCWay {
  /// Opens it. Errors: a file that it needs can't be used.
  static func open(_ choice: RPCDoorChoice, loop: EventLoop, folder: String) throws -> RPCDoor {
    let settings = RPCSettings(
      port: choice.port, authority: choice.authority, certificate: choice.certificate, key: choice.key,
      token: choice.token)
    var isRevoked: RevokedAgents?
    if let list = try revocations(authority: choice.authority) {
      isRevoked = { (der: [UInt8]) -> Bool in list.revokes(der) }
    }
    do throws(DoorError) {
      return try RPCDoor(settings, isRevoked: isRevoked, loop: loop, folder: folder)
    } catch {
      throw CommandError.invalid("\(error)")
    }
  }

  /// The newest list beside the authority's certificate; where that is one that `cert issue` has brought, the authority's own counts, too.
  /// Nil where there is none. A list whose time is over still revokes what it names.
  private static func revocations(authority: String) throws -> RevocationList? {
    let folder = authority.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
      separator: "/")
    let place = folder.isEmpty ? (authority.hasPrefix("/") ? "/" : ".") : folder
    var newest: RevocationList?
    for path in ["\(place)/crl.pem", "\(place)/../../crl.pem"] {
      guard FileManager.default.fileExists(atPath: path) else { continue }
      let own = path == "\(place)/crl.pem"
      do {
        let bytes = Array(try Data(contentsOf: URL(filePath: path)))
        let list = try RevocationList(
          bytes, authorityFile: Array(try Data(contentsOf: URL(filePath: authority))))
        if newest.map({ list.number > $0.number }) ?? true { newest = list }
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
}
