import Crypto
import FoundationEssentials
import RolloutModel

/// The bytes of a record, and the chain of hashes over them: each hash is SHA-256 of the hash before it and the record's bytes.
enum RecordChain {
  /// The version of records that this program writes; it reads this one and all before it.
  static let version = 1

  /// What the bytes of a record say.
  private struct Stored: Codable {
    var version: Int
    var sequence: Int64
    var wall: Int64
    var entry: JournalEntry
  }

  /// Read before the rest: a newer record's entry may make no sense to this program.
  private struct StoredVersion: Codable {
    var version: Int
  }

  /// The hash before a rollout's first record: another rollout's records don't fit on it.
  static func root(of rollout: String) -> [UInt8] {
    Array(SHA256.hash(data: Array("switchyard rollout \(rollout)".utf8)))
  }

  static func hash(_ payload: [UInt8], after previous: [UInt8]) -> [UInt8] {
    var hash = SHA256()
    hash.update(data: previous)
    hash.update(data: payload)
    return Array(hash.finalize())
  }

  static func encode(_ record: JournalRecord) throws -> [UInt8] {
    try canonicalJSON(
      Stored(version: version, sequence: record.sequence, wall: record.wall, entry: record.entry))
  }

  /// What a record's bytes say, where they are those of record `sequence`.
  static func decode(_ payload: [UInt8], sequence: Int64) throws(RecordDamage) -> VersionedRecord {
    let found = try decode(StoredVersion.self, payload).version
    guard found <= version else { throw .newer(version: found) }
    let stored = try decode(Stored.self, payload)
    guard stored.sequence == sequence else {
      throw .damaged("its text says that it is record \(stored.sequence)")
    }
    return VersionedRecord(
      version: found, record: JournalRecord(sequence: sequence, wall: stored.wall, entry: stored.entry))
  }

  private static func decode<Value: Decodable>(
    _ type: Value.Type, _ payload: [UInt8]
  ) throws(RecordDamage) -> Value {
    do {
      return try JSONDecoder().decode(type, from: Data(payload))
    } catch {
      throw .damaged("its text can't be read: \(escapedForTerminal("\(error)", limit: 200))")
    }
  }
}

/// A record with the version of the form that it is stored in.
struct VersionedRecord: Sendable {
  var version: Int
  var record: JournalRecord
}
