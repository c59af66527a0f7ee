import Crypto
import FoundationEssentials
import Ports
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

  static func decode(_ payload: [UInt8], of rollout: String, sequence: Int64) throws -> JournalRecord {
    let decoder = JSONDecoder()
    let found: Int
    let stored: Stored
    do {
      found = try decoder.decode(StoredVersion.self, from: Data(payload)).version
      guard found <= version else { throw newer(rollout, sequence, found) }
      stored = try decoder.decode(Stored.self, from: Data(payload))
    } catch let error as JournalError {
      throw error
    } catch {
      throw damaged(
        rollout, sequence, "its text can't be read: \(escapedForTerminal("\(error)", limit: 200))")
    }
    guard stored.sequence == sequence else {
      throw damaged(rollout, sequence, "its text says that it is record \(stored.sequence)")
    }
    return JournalRecord(sequence: sequence, wall: stored.wall, entry: stored.entry)
  }

  static func damaged(_ rollout: String, _ sequence: Int64, _ why: String) -> JournalError {
    JournalError(
      "record \(sequence) of rollout \(rollout) in the journal is damaged: \(why)",
      hint:
        "restore journal.sqlite from a backup; the hosts are asked how they stand before anything is changed, and `switchyard hosts rollback` needs no journal"
    )
  }

  private static func newer(_ rollout: String, _ sequence: Int64, _ found: Int) -> JournalError {
    JournalError(
      "record \(sequence) of rollout \(rollout) has version \(found), and this program reads versions up to \(version)",
      hint: "use the newer program that wrote it")
  }
}
