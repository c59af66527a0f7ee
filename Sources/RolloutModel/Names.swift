/// The name of an agent, checked against `[a-z][a-z0-9-]{0,30}`, so that it may stand in a path, a unit's
/// name and a firewall table's name.
public struct AgentName: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The checked text.
  public let text: String

  /// Names of Switchyard's own on a host: an agent called so would have its releases where the host program is, or could write
  /// where all agents' state is.
  public static let reserved = ["bin", "switchyard", "switchyard-agents"]

  /// Nil where `text` is not an agent's name, or is reserved.
  public init?(_ text: String) {
    guard !Self.reserved.contains(text) else { return nil }
    guard let first = text.utf8.first, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first),
      text.utf8.count <= 31, text.utf8.allSatisfy({ Self.allowed($0) })
    else { return nil }
    self.text = text
  }

  /// Refuses text that is no agent's name.
  public init(from decoder: any Decoder) throws {
    self = try decodeChecked(from: decoder, as: "an agent's name", AgentName.init)
  }

  /// Encodes the text alone.
  public func encode(to encoder: any Encoder) throws { try encodeText(text, to: encoder) }

  /// The text.
  public var description: String { text }

  /// The unit that runs a slot of this agent.
  public func unit(_ slot: Slot) -> String { "\(text)-\(slot.rawValue).service" }

  private static func allowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
    default: false
    }
  }
}

/// A release's version as its makers write it, checked against `[0-9A-Za-z][0-9A-Za-z.+_~-]{0,63}`, so that it
/// may stand in a path and a unit file.
public struct Version: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The checked text.
  public let text: String

  /// Nil where `text` can't be a version.
  public init?(_ text: String) {
    guard let first = text.utf8.first, isAlphanumeric(first), text.utf8.count <= 64,
      text.utf8.allSatisfy({ isAlphanumeric($0) || ".+_~-".utf8.contains($0) })
    else { return nil }
    self.text = text
  }

  /// Refuses text that is no version.
  public init(from decoder: any Decoder) throws {
    self = try decodeChecked(from: decoder, as: "a version", Version.init)
  }

  /// Encodes the text alone.
  public func encode(to encoder: any Encoder) throws { try encodeText(text, to: encoder) }

  /// The text.
  public var description: String { text }
}

/// A SHA-256 digest, as 64 lower-case hexadecimal digits.
public struct Digest: Hashable, Sendable, Codable, CustomStringConvertible {
  /// 64 lower-case hexadecimal digits.
  public let hex: String

  /// Nil where `hex` is not 64 hexadecimal digits; upper case is folded.
  public init?(_ hex: String) {
    let folded = hex.lowercased()
    guard folded.utf8.count == 64,
      folded.utf8.allSatisfy({
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
          || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
      })
    else { return nil }
    self.hex = folded
  }

  /// The digest with these 32 bytes; nil for any other count.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 32 else { return nil }
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(64)
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    hex = String(decoding: text, as: UTF8.self)
  }

  /// Refuses text that is no digest.
  public init(from decoder: any Decoder) throws {
    self = try decodeChecked(from: decoder, as: "a SHA-256 digest", Digest.init)
  }

  /// Encodes the digits alone.
  public func encode(to encoder: any Encoder) throws { try encodeText(hex, to: encoder) }

  /// The first 12 digits: enough to tell releases apart in a path or a line.
  public var short: String { String(hex.prefix(12)) }

  /// All 64 digits.
  public var description: String { hex }
}

/// One of the two places on a host where a release of an agent can run.
public enum Slot: String, Hashable, Sendable, Codable, CaseIterable {
  case blue, green

  /// The other slot.
  public var other: Slot { self == .blue ? .green : .blue }
}

/// What can own an agent's public port: a slot, or an agent that was installed by other means and listens there itself.
public enum Side: String, Hashable, Sendable, Codable {
  case blue, green, adopted

  /// The side that is this slot.
  public init(_ slot: Slot) { self = slot == .blue ? .blue : .green }

  /// The slot, or nil for the adopted agent.
  public var slot: Slot? {
    switch self {
    case .blue: .blue
    case .green: .green
    case .adopted: nil
    }
  }
}

func isAlphanumeric(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"):
    true
  default: false
  }
}

func decodeChecked<Value>(
  from decoder: any Decoder, as what: String, _ make: (String) -> Value?
) throws -> Value {
  let container = try decoder.singleValueContainer()
  let text = try container.decode(String.self)
  guard let value = make(text) else {
    throw DecodingError.dataCorruptedError(in: container, debugDescription: "not \(what)")
  }
  return value
}

func encodeText(_ text: String, to encoder: any Encoder) throws {
  var container = encoder.singleValueContainer()
  try container.encode(text)
}
