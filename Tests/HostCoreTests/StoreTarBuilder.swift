/// Makes tar archives byte by byte, good and bad ones.
struct TarBuilder {
  private(set) var bytes: [UInt8] = []

  /// Adds an entry; `size` and `checksum` may lie.
  mutating func add(
    _ path: String, kind: Character = "0", content: [UInt8] = [], mode: Int = 0o644, target: String = "",
    size: [UInt8]? = nil, checksum: Int? = nil, prefix: String = "", magic: String = "ustar\u{0}00"
  ) {
    add(
      name: Array(path.utf8), kind: kind, content: content, mode: mode, target: Array(target.utf8),
      size: size,
      checksum: checksum, prefix: prefix, magic: magic)
  }

  mutating func add(
    name: [UInt8], kind: Character = "0", content: [UInt8] = [], mode: Int = 0o644, target: [UInt8] = [],
    size: [UInt8]? = nil, checksum: Int? = nil, prefix: String = "", magic: String = "ustar\u{0}00"
  ) {
    var block = [UInt8](repeating: 0, count: 512)
    func put(_ value: [UInt8], at place: Int, limit: Int) {
      block.replaceSubrange(place..<(place + min(value.count, limit)), with: value.prefix(limit))
    }
    put(name, at: 0, limit: 100)
    put(octal(mode, 7), at: 100, limit: 8)
    put(octal(0, 7), at: 108, limit: 8)
    put(octal(0, 7), at: 116, limit: 8)
    put(size ?? octal(content.count, 11), at: 124, limit: 12)
    put(octal(0, 11), at: 136, limit: 12)
    block[156] = kind.asciiValue ?? 0
    put(target, at: 157, limit: 100)
    put(Array(magic.utf8), at: 257, limit: 8)
    put(Array(prefix.utf8), at: 345, limit: 155)
    put(Array("        ".utf8), at: 148, limit: 8)
    let sum = checksum ?? block.reduce(0) { $0 + Int($1) }
    put(octal(sum, 6) + [0, 0x20], at: 148, limit: 8)
    bytes += block + content
    bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
  }

  /// Adds a pax header for the entry that follows.
  mutating func pax(_ records: [(String, String)], kind: Character = "x") {
    let text = records.map { Self.record($0.0, $0.1) }.joined()
    add("pax", kind: kind, content: Array(text.utf8))
  }

  /// Adds GNU's header for a long name (`L`) or link target (`K`).
  mutating func long(_ text: String, kind: Character = "L") {
    add("././@LongLink", kind: kind, content: Array(text.utf8) + [0], magic: "ustar  \u{0}")
  }

  /// The archive with its end mark.
  var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }

  private static func record(_ key: String, _ value: String) -> String {
    let rest = " \(key)=\(value)\n"
    var length = rest.utf8.count
    while "\(length)".utf8.count + rest.utf8.count != length {
      length = "\(length)".utf8.count + rest.utf8.count
    }
    return "\(length)\(rest)"
  }

  private func octal(_ number: Int, _ width: Int) -> [UInt8] {
    let digits = String(number, radix: 8)
    return Array((String(repeating: "0", count: max(width - digits.count, 0)) + digits).utf8)
  }
}
