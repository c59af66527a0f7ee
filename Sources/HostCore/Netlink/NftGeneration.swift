import Glibc

/// The number of the nftables rules in force: the kernel counts each change of them in this network namespace, by whomever.
enum NftGeneration {
  /// Numbers of linux/netfilter/nfnetlink.h and nf_tables.h.
  private enum Wire {
    static let family: Int32 = 12
    static let subsystem: UInt16 = 10
    static let newGeneration: UInt16 = subsystem << 8 | 15
    static let getGeneration: UInt16 = subsystem << 8 | 16
    /// `nfgenmsg`: any family, version 0, no resource.
    static let request: [UInt8] = [0, 0, 0, 0]
    /// The attribute NFTA_GEN_ID, in network order.
    static let number: UInt16 = 1
  }

  /// Nil where the kernel does not tell: without the right to administer the network, or without nftables.
  static func current() -> UInt32? {
    guard let socket = NetlinkSocket(family: Wire.family),
      let message = socket.ask(Wire.getGeneration, Wire.request, dump: false)?.first,
      message.kind == Wire.newGeneration
    else { return nil }
    var place = Wire.request.count
    while let length = NetlinkSocket.integer(UInt16.self, in: message.body, at: place), length >= 4,
      let kind = NetlinkSocket.integer(UInt16.self, in: message.body, at: place + 2)
    {
      if kind == Wire.number {
        return NetlinkSocket.integer(UInt32.self, in: message.body, at: place + 4).map {
          UInt32(bigEndian: $0)
        }
      }
      place += (Int(length) + 3) & ~3
    }
    return nil
  }
}
