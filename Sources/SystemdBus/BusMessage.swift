import CSystemd

/// One D-Bus message; owned, and given back at the end of its life.
final class BusMessage {
  let pointer: OpaquePointer

  /// Takes over a reference.
  init(owning pointer: OpaquePointer) { self.pointer = pointer }

  deinit { sd_bus_message_unref(pointer) }

  func append(_ text: String) throws(BusError) { try check(switchyard_append_string(pointer, text)) }

  func append(_ flag: Bool) throws(BusError) { try check(switchyard_append_bool(pointer, flag ? 1 : 0)) }

  func append(_ number: UInt64) throws(BusError) { try check(switchyard_append_uint64(pointer, number)) }

  /// Appends a container (`a`, `r` or `v`) of a type, and what `body` puts into it.
  func container(
    _ kind: Character, _ contents: String, _ body: () throws(BusError) -> Void
  ) throws(BusError) {
    try check(sd_bus_message_open_container(pointer, Self.code(kind), contents))
    try body()
    try check(sd_bus_message_close_container(pointer))
  }

  func append(_ texts: [String]) throws(BusError) {
    try container("a", "s") { () throws(BusError) in for text in texts { try append(text) } }
  }

  /// Appends `(sv)`.
  func append(property name: String, _ value: BusValue) throws(BusError) {
    try container("r", "sv") { () throws(BusError) in
      try append(name)
      try container("v", value.signature) { () throws(BusError) in try append(value) }
    }
  }

  private func append(_ value: BusValue) throws(BusError) {
    switch value {
    case .text(let text): try append(text)
    case .flag(let flag): try append(flag)
    case .number(let number): try append(number)
    case .command(let argv):
      try container("a", "(sasb)") { () throws(BusError) in
        try container("r", "sasb") { () throws(BusError) in
          try append(argv.first ?? "")
          try append(argv)
          try append(false)
        }
      }
    }
  }

  func readText() throws(BusError) -> String {
    var text: UnsafePointer<CChar>?
    try check(switchyard_read_string(pointer, &text))
    return text.map { String(cString: $0) } ?? ""
  }

  func readPath() throws(BusError) -> String {
    var text: UnsafePointer<CChar>?
    try check(switchyard_read_path(pointer, &text))
    return text.map { String(cString: $0) } ?? ""
  }

  func readUInt32() throws(BusError) -> UInt32 {
    var number: UInt32 = 0
    try check(switchyard_read_uint32(pointer, &number))
    return number
  }

  func readUInt64() throws(BusError) -> UInt64 {
    var number: UInt64 = 0
    try check(switchyard_read_uint64(pointer, &number))
    return number
  }

  func readFlag() throws(BusError) -> Bool {
    var flag: Int32 = 0
    try check(switchyard_read_bool(pointer, &flag))
    return flag != 0
  }

  func readInt32() throws(BusError) -> Int32 {
    var number: Int32 = 0
    try check(switchyard_read_int32(pointer, &number))
    return number
  }

  func readBytes() throws(BusError) -> [UInt8] {
    var start: UnsafeRawPointer?
    var count = 0
    try check(switchyard_read_bytes(pointer, &start, &count))
    return start.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) } ?? []
  }

  /// Calls `body` in each struct of an array; it reads the struct's members.
  func eachStruct(_ members: String, _ body: () throws(BusError) -> Void) throws(BusError) {
    try check(sd_bus_message_enter_container(pointer, Self.code("a"), "(\(members))"))
    while sd_bus_message_at_end(pointer, 0) == 0 {
      try check(sd_bus_message_enter_container(pointer, Self.code("r"), members))
      try body()
      try check(sd_bus_message_exit_container(pointer))
    }
    try check(sd_bus_message_exit_container(pointer))
  }

  /// Passes over values of these types.
  func skip(_ types: String) throws(BusError) { try check(sd_bus_message_skip(pointer, types)) }

  /// Enters the variant that a property's value comes in.
  func enterVariant(_ signature: String) throws(BusError) {
    try check(sd_bus_message_enter_container(pointer, Self.code("v"), signature))
  }

  func isSignal(_ interface: String, _ member: String) -> Bool {
    sd_bus_message_is_signal(pointer, interface, member) > 0
  }

  private func check(_ code: Int32) throws(BusError) {
    if code < 0 { throw BusError("writing or reading a D-Bus message", code: code) }
  }

  private static func code(_ kind: Character) -> CChar { CChar(kind.asciiValue ?? 0) }
}

/// The value of a transient unit's property.
enum BusValue {
  case text(String)
  case flag(Bool)
  case number(UInt64)
  /// One command of `ExecStart`.
  case command([String])

  var signature: String {
    switch self {
    case .text: "s"
    case .flag: "b"
    case .number: "t"
    case .command: "a(sasb)"
    }
  }
}
