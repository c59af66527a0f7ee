import RolloutModel

/// What stands before an entry's header and takes the place of what is in it: pax records and GNU long names.
struct TarExtension {
  var path: [UInt8]?
  var target: [UInt8]?
  var size: Int64?

  var isEmpty: Bool { path == nil && target == nil && size == nil }

  /// Takes records `LENGTH KEY=VALUE\n`; keys that change nothing of the content are left out.
  mutating func read(pax bytes: [UInt8]) throws(HostFailure) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let digits = rest.prefix(while: { $0 != UInt8(ascii: " ") })
      guard digits.count <= 8, digits.allSatisfy({ (48...57).contains($0) }),
        let length = Int(String(decoding: digits, as: UTF8.self)),
        length > digits.count + 1, length <= rest.count
      else { throw Self.damaged }
      let record = rest.prefix(length).dropFirst(digits.count + 1)
      rest = rest.dropFirst(length)
      guard record.last == UInt8(ascii: "\n"), let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
        throw Self.damaged
      }
      try take(
        key: String(decoding: record[..<equals], as: UTF8.self),
        value: Array(record[(equals + 1)...].dropLast()))
    }
  }

  private mutating func take(key: String, value: [UInt8]) throws(HostFailure) {
    switch key {
    case "path": path = value
    case "linkpath": target = value
    case "size":
      guard value.count <= 18, value.allSatisfy({ (48...57).contains($0) }),
        let number = Int64(String(decoding: value, as: UTF8.self))
      else { throw Self.damaged }
      size = number
    case _ where key.hasPrefix("GNU.sparse."):
      throw HostFailure(
        .archiveRefused, "the archive holds a sparse file, which is not unpacked",
        hint: "pack it without --sparse")
    default: break
    }
  }

  private static var damaged: HostFailure {
    HostFailure(.archiveRefused, "the archive is damaged: a pax header can't be read")
  }
}
