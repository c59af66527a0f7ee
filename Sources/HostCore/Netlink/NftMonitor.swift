import Glibc
import RolloutModel

/// Hears of every change of the host's nftables rules, by whomever, from the kernel itself: a reason to look, no more.
/// (`nft monitor` writes into a pipe only when its buffer is full: too late for a guard.)
package final class NftMonitor {
  private var socket: Descriptor?

  /// A monitor that does not listen yet; ``descriptor()`` begins.
  package init() {}

  /// Readable when something changed; nil where listening is not possible (it needs the right to administer the network):
  /// look at the firewall from time to time instead.
  package func descriptor() -> Int32? {
    if socket == nil { socket = Self.listen() }
    return socket?.number
  }

  /// Takes all that was heard since. True where something may have changed.
  package func changed() -> Bool {
    guard let socket else { return true }
    var heard = false
    // Bounded: who floods the firewall with changes must not keep the guard from looking.
    for _ in 0..<256 {
      do throws(HostFailure) {
        guard try readOnce(socket.number, limit: 64 * 1024, what: "hearing of the firewall") != nil else {
          break
        }
      } catch {
        // The kernel dropped messages for want of room: that there were some is all that counts.
      }
      heard = true
    }
    return heard
  }

  private static func listen() -> Descriptor? {
    let kind = Int32(SOCK_RAW.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let number = Glibc.socket(AF_NETLINK, kind, netfilter)
    guard number >= 0 else { return nil }
    let socket = Descriptor(owning: number)
    var address = Address(family: UInt16(AF_NETLINK), padding: 0, port: 0, groups: nftables)
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket.number, $0, socklen_t(MemoryLayout<Address>.size))
      }
    }
    return bound == 0 ? socket : nil
  }

  /// `sockaddr_nl`, NETLINK_NETFILTER and the group NFNLGRP_NFTABLES of the kernel's headers, which Glibc's module lacks.
  private struct Address {
    var family: UInt16
    var padding: UInt16
    var port: UInt32
    var groups: UInt32
  }
  private static let netfilter: Int32 = 12
  private static let nftables: UInt32 = 1 << 6
}
