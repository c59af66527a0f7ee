/// Bytes as files write them, with a unit: `200MB`, `1.5GiB`. Nil where a text is no such size, or one above 1000TB.
public func byteCount(_ text: String) -> Int64? {
  let units = [
    "B": 1, "kB": 1000, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
  ]
  let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
  let unit = text.dropFirst(digits.count).drop { $0 == " " }
  guard let factor = units[String(unit)], digits.utf8.first != UInt8(ascii: "."), let number = Double(digits),
    number > 0, number * Double(factor) >= 1, number * Double(factor) <= 1e15
  else { return nil }
  return Int64(number * Double(factor))
}

/// What is told where ``byteCount(_:)`` finds none.
public let byteCountAdvice = "write a size above 0 with its unit: 200MB, 1GiB, at most 1000TB"
