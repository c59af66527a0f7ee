import CSystemd

extension SystemBus {
  /// The last lines that a unit's invocation left in the host's journal, its own and systemd's about it, oldest first, not
  /// escaped; every invocation's where none is given. Where none has arrived yet, waits for them up to `patience`.
  public func lastLines(
    of unit: String, invocation: String, count: Int, patience: Duration = .milliseconds(500)
  ) throws(BusError) -> [String] {
    let journal = try UnitJournal(unit: unit, invocation: invocation)
    let end = ContinuousClock.now + patience
    while true {
      let lines = try journal.last(count)
      let left = ContinuousClock.now.duration(to: end)
      guard lines.isEmpty, left > .zero else { return lines }
      journal.wait(min(left, .milliseconds(100)))
    }
  }
}

/// The journal, open for one unit's lines; closed at the end of its life.
private final class UnitJournal {
  /// The most bytes of one line that are kept.
  private static let lineLimit = 4096

  private let journal: OpaquePointer

  init(unit: String, invocation: String) throws(BusError) {
    var opened: OpaquePointer?
    let code = sd_journal_open(&opened, Int32(SD_JOURNAL_LOCAL_ONLY))
    guard code >= 0, let opened else { throw BusError("opening the journal", code: code) }
    journal = opened
    // What the unit's processes wrote, or what the first process says of the unit.
    try match("_SYSTEMD_UNIT=\(unit)")
    if !invocation.isEmpty { try match("_SYSTEMD_INVOCATION_ID=\(invocation)") }
    let or = sd_journal_add_disjunction(journal)
    guard or >= 0 else { throw BusError("searching the journal", code: or) }
    try match("_PID=1")
    try match("UNIT=\(unit)")
    if !invocation.isEmpty { try match("INVOCATION_ID=\(invocation)") }
  }

  deinit { sd_journal_close(journal) }

  func last(_ count: Int) throws(BusError) -> [String] {
    let code = sd_journal_seek_tail(journal)
    guard code >= 0 else { throw BusError("searching the journal", code: code) }
    var lines: [String] = []
    while lines.count < count {
      let moved = sd_journal_previous(journal)
      guard moved >= 0 else { throw BusError("reading the journal", code: moved) }
      guard moved > 0 else { break }
      var data: UnsafeRawPointer?
      var length = 0
      // An entry without a message says nothing.
      guard sd_journal_get_data(journal, "MESSAGE", &data, &length) >= 0, let data else { continue }
      let field = UnsafeRawBufferPointer(start: data, count: length).dropFirst("MESSAGE=".utf8.count)
      lines.append(String(decoding: field.prefix(Self.lineLimit), as: UTF8.self))
    }
    return lines.reversed()
  }

  func wait(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    // Whether lines came or time passed: the caller looks again.
    sd_journal_wait(journal, UInt64(max(seconds, 0)) * 1_000_000 + UInt64(attoseconds / 1_000_000_000_000))
  }

  private func match(_ text: String) throws(BusError) {
    let bytes = Array(text.utf8)
    let code = sd_journal_add_match(journal, bytes, bytes.count)
    guard code >= 0 else { throw BusError("searching the journal", code: code) }
  }
}
