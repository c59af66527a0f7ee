import RolloutModel

/// A record as it lies in the file.
struct StoredRecord: Sendable {
  var payload: [UInt8]
  var hash: [UInt8]
}

/// Checks a rollout's records, one after the other, against the chain of hashes.
struct ChainCheck: Sendable {
  /// What a record that was taken turned out to be.
  struct Finding {
    /// The hash that it is chained to; nil where that can't be told.
    var previous: [UInt8]?
    var outcome: Result<VersionedRecord, RecordDamage>
  }

  /// The number of the last record that was taken or lost.
  private(set) var place: Int64
  /// The hashes that the next record may be chained to. After a damaged record these are two: the stored one, and the one that
  /// its text has. The next record fits on the one that is whole. None where nothing is left of the record before.
  private(set) var candidates: [[UInt8]]

  /// Begins behind record `place`, whose stored hash this is.
  init(after place: Int64, hash: [UInt8]?) {
    self.place = place
    candidates = hash.map { [$0] } ?? []
  }

  /// The number of the record that comes next. Numbers end at the highest there is: what a damaged file has behind it fits nowhere.
  var next: Int64 { place == .max ? place : place + 1 }

  /// Whether a record fits on the one before it.
  func fits(_ record: StoredRecord) -> Bool { previous(of: record) != nil }

  /// Takes the next record.
  mutating func take(_ record: StoredRecord) -> Finding {
    place = next
    guard let previous = previous(of: record) else {
      let why =
        candidates.isEmpty
        ? "the record before it can't be read, so that its hash can't be checked" : "its hash does not fit"
      let finding = Finding(previous: candidates.first, outcome: .failure(.damaged(why)))
      candidates = [record.hash] + candidates.suffix(1).map { RecordChain.hash(record.payload, after: $0) }
      return finding
    }
    candidates = [record.hash]
    do throws(RecordDamage) {
      return Finding(
        previous: previous, outcome: .success(try RecordChain.decode(record.payload, sequence: place)))
    } catch {
      return Finding(previous: previous, outcome: .failure(error))
    }
  }

  /// Passes over records of which nothing is left.
  mutating func lose(through last: Int64) {
    place = last
    candidates = []
  }

  private func previous(of record: StoredRecord) -> [UInt8]? {
    candidates.first { RecordChain.hash(record.payload, after: $0) == record.hash }
  }
}
