import AgentRPC
import Certificates
import EventLoop
import Ports
import RolloutModel
import Synchronization

/// The RPC door that an agent file or options name.
enum RPCWay {
  /// Opens it. Errors: a file that it needs can't be used.
  static func open(_ choice: RPCDoorChoice, loop: EventLoop, folder: String) throws -> RPCDoor {
    let settings = RPCSettings(
      port: choice.port, authority: choice.authority, certificate: choice.certificate, key: choice.key,
      token: choice.token)
    var isRevoked: RevokedAgents?
    if let found = try FoundRevocations.newest(authority: choice.authority) {
      found.warning(at: SystemTimekeeper().wall).map(tellOnce)
      let list = found.list
      isRevoked = { (der: [UInt8]) -> Bool in list.revokes(der) }
    }
    do throws(DoorError) {
      return try RPCDoor(settings, isRevoked: isRevoked, loop: loop, folder: folder)
    } catch {
      throw CommandError.invalid("\(error)")
    }
  }

  /// Every door that a run opens would say the same.
  private static let told = Mutex<Set<String>>([])

  private static func tellOnce(_ warning: String) {
    if told.withLock({ $0.insert(warning).inserted }) { Output.error(warning) }
  }
}
