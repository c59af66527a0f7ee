/// Reads the SSH wire format from bytes that somebody else wrote; every read is checked.
struct WireReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func byte() -> UInt8? { rest.popFirst() }

  mutating func bytes(_ count: Int) -> [UInt8]? {
    guard count >= 0, rest.count >= count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return Array(rest.prefix(count))
  }

  mutating func uint32() -> UInt32? {
    bytes(4)?.reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// A length and as many bytes.
  mutating func string() -> [UInt8]? {
    guard let count = uint32() else { return nil }
    return bytes(Int(count))
  }

  mutating func text() -> String? {
    string().flatMap { String(validating: $0, as: UTF8.self) }
  }
}

/// The bytes of a number in the SSH wire format.
func wire(_ number: UInt32) -> [UInt8] {
  [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
}

/// The bytes of a string in the SSH wire format.
func wire(_ string: [UInt8]) -> [UInt8] {
  wire(UInt32(truncatingIfNeeded: string.count)) + string
}

/// A public key as the SSH protocol carries it: its type, then what the type says.
struct PublicKey: Hashable, Sendable {
  let blob: [UInt8]
  let type: String

  /// Nil for bytes that do not begin with a type.
  init?(blob: [UInt8]) {
    var reader = WireReader(blob)
    guard let type = reader.text(), !type.isEmpty, !reader.isAtEnd else { return nil }
    self.blob = blob
    self.type = type
  }

  var isRSA: Bool { type == "ssh-rsa" }

  /// True for types that libssh2 can sign with and check: neither certificates nor security keys.
  var isUsable: Bool { PublicKey.usableTypes.contains(type) }

  /// In the order in which they are asked for.
  static let usableTypes = [
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
  ]
}
