import RolloutModel
import Testing

@testable import Simulator

@Suite("What a loss of power leaves")
struct PowerLossTests {
  private let entries: [JournalEntry] = [
    .event(StampedEvent(.started, at: Moment(milliseconds: 5), wall: 7, chance: 9)),
    .intent(.cancel(host: 3)), .intent(.rest(.paused)),
  ]

  @Test("A commit that is whole is read as it was written")
  func whole() throws {
    let found = try CommitFrames.read(try CommitFrames.bytes(of: entries))
    #expect(found.isWhole && found.entries == entries)
  }

  @Test(
    "A commit that is cut anywhere, or has one byte changed, is not whole, and what is read of it is its beginning"
  )
  func cutOrChanged() throws {
    let bytes = try CommitFrames.bytes(of: entries)
    for place in bytes.indices {
      let cut = try CommitFrames.read(Array(bytes[..<place]))
      #expect(!cut.isWhole && entries.starts(with: cut.entries))
      var changed = bytes
      changed[place] ^= 0x20
      let read = try CommitFrames.read(changed)
      #expect(!read.isWhole && entries.starts(with: read.entries))
    }
  }

  @Test(
    "A commit that loses its power is there or is not, and both happen; half of one happens where its end is not asked for"
  )
  func torn() throws {
    let bytes = try CommitFrames.bytes(of: Array(repeating: entries, count: 8).flatMap { $0 })
    var dice = Dice(seed: 1)
    var whole = 0
    var half = 0
    for _ in 0..<500 {
      let found = try CommitFrames.read(PowerLoss.remains(of: bytes, &dice))
      if found.isWhole { whole += 1 } else if !found.entries.isEmpty { half += 1 }
    }
    #expect(whole > 0 && half > 0 && whole < 500)
  }

  @Test("Sectors are kept, lost and torn in any order")
  func sectors() {
    var dice = Dice(seed: 2)
    let bytes = [UInt8](repeating: 1, count: 4 * PowerLoss.sector)
    var lostBeforeKept = false
    for _ in 0..<50 {
      let left = PowerLoss.remains(of: bytes, &dice)
      #expect(left.count == bytes.count)
      if left[0] == 0, left[3 * PowerLoss.sector] == 1 { lostBeforeKept = true }
    }
    #expect(lostBeforeKept)
  }
}
