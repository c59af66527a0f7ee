import Glibc

/// A conversation with the kernel over netlink(7).
final class NetlinkSocket {
  /// What the kernel said.
  struct Message {
    /// The kind of message, as the family numbers them.
    var kind: UInt16
    /// What follows the header.
    var body: ArraySlice<UInt8>
  }

  private let socket: Descriptor

  /// Nil where the kernel has no such family.
  init?(family: Int32) {
    let number = Glibc.socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), family)
    guard number >= 0 else { return nil }
    socket = Descriptor(owning: number)
    var patience = timeval(tv_sec: 1, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    guard setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &patience, size) == 0 else { return nil }
  }

  /// Numbers of linux/netlink.h.
  private enum Wire {
    static let request: UInt16 = 0x1
    static let dump: UInt16 = 0x300
    static let error: UInt16 = 2
    static let done: UInt16 = 3
    static let headerBytes = 16
    /// No table of ours that is asked for has more pieces.
    static let mostPieces = 10_000
  }

  /// Asks for one message, or for a whole table (`dump`). Nil where the kernel refuses, is late, or is not understood.
  func ask(_ kind: UInt16, _ body: [UInt8], dump: Bool) -> [Message]? {
    var bytes = [UInt8](repeating: 0, count: Wire.headerBytes) + body
    let length = UInt32(clamping: bytes.count)
    bytes.withUnsafeMutableBytes { header in
      header.storeBytes(of: length, toByteOffset: 0, as: UInt32.self)
      header.storeBytes(of: kind, toByteOffset: 4, as: UInt16.self)
      header.storeBytes(of: Wire.request | (dump ? Wire.dump : 0), toByteOffset: 6, as: UInt16.self)
    }
    guard send(socket.number, bytes, bytes.count, 0) == bytes.count else { return nil }
    var messages: [Message] = []
    for _ in 0..<Wire.mostPieces {
      // Whatever keeps the answer away, the caller has another way to learn it.
      guard let piece = try? readOnce(socket.number, limit: 64 * 1024, what: "asking the kernel"),
        let isOver = Self.take(piece, into: &messages)
      else { return nil }
      if isOver || !dump { return messages }
    }
    return nil
  }

  /// Whether that was the end; nil where it was an error or not understood.
  private static func take(_ piece: [UInt8], into messages: inout [Message]) -> Bool? {
    var start = 0
    while piece.count - start >= Wire.headerBytes {
      let length = Int(integer(UInt32.self, in: piece[...], at: start) ?? 0)
      let kind = integer(UInt16.self, in: piece[...], at: start + 4) ?? Wire.error
      guard length >= Wire.headerBytes, length <= piece.count - start, kind != Wire.error else { return nil }
      if kind == Wire.done { return true }
      messages.append(Message(kind: kind, body: piece[(start + Wire.headerBytes)..<(start + length)]))
      start += (length + 3) & ~3
    }
    return messages.isEmpty ? nil : false
  }

  /// An integer in the host's byte order, at an offset from the slice's beginning; nil past its end.
  static func integer<Value: FixedWidthInteger>(
    _ type: Value.Type, in bytes: ArraySlice<UInt8>, at offset: Int
  ) -> Value? {
    guard offset >= 0, bytes.count >= offset + MemoryLayout<Value>.size else { return nil }
    return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
  }
}
