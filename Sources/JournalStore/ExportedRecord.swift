import Ports
import RolloutModel

/// A record as `journal export` writes it: the text as it is stored, with the hashes that prove it.
public struct ExportedRecord: Hashable, Sendable, Codable {
  /// The rollout's ID.
  public var rollout: String
  /// The record's number; the first one's where several in a row are missing.
  public var sequence: Int64
  /// The last one's number where several are missing.
  public var through: Int64?
  /// The version of the form of the text; nil for a damaged record.
  public var version: Int?
  /// When it was appended, in milliseconds since 1970; nil for a damaged record.
  public var wall: Int64?
  /// The hash before it, in hexadecimal digits; nil where that can't be told.
  public var previous: String?
  /// Its hash, in hexadecimal digits; nil where nothing is left of it.
  public var hash: String?
  /// Its text as it is stored; nil where nothing is left of it, or where it is no text any more.
  public var payload: String?
  /// The bytes of what is no text any more, in hexadecimal digits.
  public var payloadHex: String?
  /// What is wrong with it; nil where it is sound.
  public var damaged: String?

  private enum CodingKeys: String, CodingKey {
    case rollout, sequence, through, version, wall, previous, hash, payload, damaged
    case payloadHex = "payload_hex"
  }

  /// What an inspection of a rollout found.
  public init(_ record: InspectedRecord, of rollout: String) {
    self.rollout = rollout
    sequence = record.sequence
    through = record.through == record.sequence ? nil : record.through
    version = record.version
    previous = record.previous.map(Self.hex)
    hash = record.hash.map(Self.hex)
    if let bytes = record.payload {
      payload = String(validating: bytes, as: UTF8.self)
      payloadHex = payload == nil ? Self.hex(bytes) : nil
    }
    switch record.outcome {
    case .success(let found): wall = found.wall
    case .failure(let damage): damaged = damage.why
    }
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
