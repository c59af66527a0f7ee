import RolloutModel

/// A record of the journal as it lies in the file, sound or not.
public struct InspectedRecord: Sendable {
  /// Its number; the first one's where several in a row are missing.
  public var sequence: Int64
  /// The last one's number where several are missing, else the same.
  public var through: Int64
  /// The hash before it; nil where that can't be told.
  public var previous: [UInt8]?
  /// Its hash; nil where nothing is left of it.
  public var hash: [UInt8]?
  /// Its text; nil where nothing is left of it.
  public var payload: [UInt8]?
  /// The version of the form of its text; nil for a damaged record.
  public var version: Int?
  /// What it says, or what is wrong with it. A record that says something is the one that was written.
  public var outcome: Result<JournalRecord, RecordDamage>

  init(_ stored: StoredRecord, sequence: Int64, _ finding: ChainCheck.Finding) {
    self.sequence = sequence
    through = sequence
    previous = finding.previous
    hash = stored.hash
    payload = stored.payload
    switch finding.outcome {
    case .success(let found):
      version = found.version
      outcome = .success(found.record)
    case .failure(let damage): outcome = .failure(damage)
    }
  }

  /// Records of which there is nothing, or nothing that can be placed.
  init(lost numbers: ClosedRange<Int64>, _ damage: RecordDamage) {
    sequence = numbers.lowerBound
    through = numbers.upperBound
    outcome = .failure(damage)
  }

  /// What is wrong with it; nil where it is sound.
  public var damage: RecordDamage? {
    if case .failure(let damage) = outcome { damage } else { nil }
  }
}
