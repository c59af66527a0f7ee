import Ports
import RolloutModel

extension CertificateLook {
  /// Whether nobody answers clients on a port: the end of an agent that carried the order for it can be seen in no other way.
  func seesSilence(at port: Int, over channel: any HostChannel) async -> Bool {
    do throws(DoorError) {
      _ = try await servedCertificate(at: try await channel.outsideRoute(port: port), within: .seconds(3))
      return false
    } catch {
      return error.kind == .unreachable
    }
  }
}
