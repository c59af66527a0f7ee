import FoundationEssentials
import HostMachine
import RolloutModel

/// What a disk holds of bytes that were being written, and not yet flushed, when its power went.
enum PowerLoss {
  /// What disks write whole at the least, in bytes.
  static let sector = 512

  /// Each sector is there, is not, or is there in part: whatever was written before or after it.
  static func remains(of bytes: [UInt8], _ dice: inout Dice) -> [UInt8] {
    var left = bytes
    for start in stride(from: 0, to: bytes.count, by: sector) {
      let end = min(start + sector, bytes.count)
      let kept =
        switch dice.number(0...3) {
        case 0, 1: end
        case 2: start
        default: start + Int(dice.number(0...Int64(end - start - 1)))
        }
      for place in kept..<end { left[place] = 0 }
    }
    return left
  }
}

/// A commit of the journal as bytes: a frame for each entry, and a last one that says that it is whole. Each frame's checksum is
/// over all before it too, as in a write-ahead log, so that what an earlier commit left in a place is not taken for a frame.
enum CommitFrames {
  /// Length and checksum before each frame's content.
  private static let head = 16

  static func bytes(of entries: [JournalEntry]) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var sum = Checksum()
    for content in try entries.map({ try canonicalJSON($0) }) + [[]] {
      sum.add(content)
      bytes += sum.bytes(of: UInt64(content.count)) + sum.bytes(of: sum.value) + content
    }
    return bytes
  }

  /// The entries that are whole, as far as the first that isn't, and whether the commit is.
  static func read(_ bytes: [UInt8]) throws -> (entries: [JournalEntry], isWhole: Bool) {
    var rest = bytes[...]
    var sum = Checksum()
    var entries: [JournalEntry] = []
    while rest.count >= head {
      let length = number(rest.prefix(8))
      let checksum = number(rest.dropFirst(8).prefix(8))
      guard length <= UInt64(rest.count - head) else { break }
      let content = Array(rest.dropFirst(head).prefix(Int(length)))
      sum.add(content)
      guard sum.value == checksum else { break }
      if content.isEmpty { return (entries, true) }
      entries.append(try JSONDecoder().decode(JournalEntry.self, from: Data(content)))
      rest = rest.dropFirst(head + content.count)
    }
    return (entries, false)
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}

/// FNV-1a in 64 bits: enough to tell torn bytes from whole ones where nobody forges any.
struct Checksum {
  private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  mutating func add(_ bytes: [UInt8]) {
    for byte in bytes + self.bytes(of: UInt64(bytes.count)) {
      value = (value ^ UInt64(byte)) &* 0x100_0000_01b3
    }
  }

  /// A number as eight bytes, the lowest first.
  func bytes(of number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
}

/// A host's record is written to a spare file, flushed, and put into place by one renaming.
enum RecordWriting {
  /// What a host finds in the record's place once it has its power again.
  enum Found {
    case old, new, unreadable
  }

  /// What a loss of power leaves during the writing of a record. Without the flush the renaming may reach the disk before the
  /// bytes do.
  static func found(
    _ record: AgentRecord, isFlushed: Bool, _ dice: inout Dice
  ) throws -> Found {
    // Until the renaming is on the disk the old file is in its place, whatever the spare one holds.
    guard dice.permille(500) else { return .old }
    guard !isFlushed else { return .new }
    let bytes = try canonicalJSON(record)
    return PowerLoss.remains(of: bytes, &dice) == bytes ? .new : .unreadable
  }
}
