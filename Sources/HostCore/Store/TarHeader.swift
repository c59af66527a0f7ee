import RolloutModel

/// One header block of a tar archive (ustar, GNU or the old form).
struct TarHeader {
  static let size = 512

  let name: [UInt8]
  let mode: Int64
  let size: Int64
  let kind: UInt8
  let linkName: [UInt8]

  /// Throws where the block is damaged.
  init(_ block: [UInt8]) throws(HostFailure) {
    guard block.count == Self.size, Self.checksumHolds(block) else {
      throw HostFailure(.archiveRefused, "the archive is damaged: a header's checksum is wrong")
    }
    func text(_ range: Range<Int>) -> [UInt8] { Array(block[range].prefix(while: { $0 != 0 })) }
    kind = block[156]
    linkName = text(157..<257)
    // Only the POSIX form has a prefix; GNU's ("ustar  ") keeps times at that place.
    let prefix = Array(block[257..<263]) == Array("ustar\0".utf8) ? text(345..<500) : []
    name = prefix.isEmpty ? text(0..<100) : prefix + [UInt8(ascii: "/")] + text(0..<100)
    guard let mode = Self.number(block[100..<108]), let size = Self.number(block[124..<136]) else {
      throw HostFailure(
        .archiveRefused,
        "the archive is damaged: a number in the header of \(shown(path: text(0..<100))) can't be read")
    }
    self.mode = mode
    self.size = size
  }

  /// The sum of all bytes, with the checksum's own counted as blanks; some old programs summed signed bytes.
  static func checksumHolds(_ block: [UInt8]) -> Bool {
    guard let stored = number(block[148..<156]) else { return false }
    var unsigned: Int64 = 0
    var signed: Int64 = 0
    for (place, byte) in block.enumerated() {
      let counted = (148..<156).contains(place) ? UInt8(ascii: " ") : byte
      unsigned += Int64(counted)
      signed += Int64(Int8(bitPattern: counted))
    }
    return stored == unsigned || stored == signed
  }

  /// An octal number, or GNU's binary one where the first bit is set; never negative. Nil where it is neither.
  static func number(_ field: ArraySlice<UInt8>) -> Int64? {
    guard let first = field.first else { return nil }
    if first & 0x80 != 0 {
      var value: Int64 = Int64(first & 0x7f)
      for byte in field.dropFirst() {
        let (shifted, over) = value.multipliedReportingOverflow(by: 256)
        guard !over, shifted <= Int64.max - 255 else { return nil }
        value = shifted + Int64(byte)
      }
      return value
    }
    let digits = field.drop(while: { $0 == UInt8(ascii: " ") })
      .prefix(while: { $0 != 0 && $0 != UInt8(ascii: " ") })
    var value: Int64 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { return nil }
      value = value * 8 + Int64(digit - UInt8(ascii: "0"))
    }
    return value
  }
}

/// A path of an archive as messages show it.
func shown(path: [UInt8]) -> String {
  "\"\(escapedForTerminal(String(decoding: path, as: UTF8.self), limit: 200))\""
}
