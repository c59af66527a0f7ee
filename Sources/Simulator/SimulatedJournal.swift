import RolloutModel

/// The durable log, which outlives its controllers.
final class SimulatedJournal {
  /// Full pages of records, and the one that is being filled: a log of millions never has to be copied to grow.
  private var pages: [[JournalRecord]]
  private(set) var count: Int
  private static let pageLength = 4096

  /// An empty log.
  init() {
    pages = []
    count = 0
  }

  /// A log of its own that begins as another one is now.
  init(copying other: SimulatedJournal) {
    pages = other.pages
    count = other.count
  }

  var records: some Sequence<JournalRecord> { pages.lazy.joined() }

  func append(_ entries: [JournalEntry]) {
    for entry in entries {
      count += 1
      let record = JournalRecord(sequence: Int64(count), wall: 0, entry: entry)
      if let last = pages.indices.last, pages[last].count < Self.pageLength {
        pages[last].append(record)
      } else {
        pages.append([record])
      }
    }
  }

  /// Loses the last event and what it led to, as no log may.
  func loseLastEvent() {
    while let last = pages.indices.last {
      guard let record = pages[last].popLast() else {
        pages.removeLast()
        continue
      }
      count -= 1
      if case .event = record.entry { return }
    }
  }
}
