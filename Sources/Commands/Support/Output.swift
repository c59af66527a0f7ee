import FoundationEssentials
import Glibc
import RolloutModel
import Synchronization

/// Standard output and standard error, whole lines at a time.
enum Output {
  /// Whether standard output is a terminal.
  static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  static func line(_ text: String) { write(escaped(text) + "\n", to: STDOUT_FILENO) }

  static func error(_ text: String) { write(escaped(text) + "\n", to: STDERR_FILENO) }

  /// Lines in which nothing steers a terminal. Whoever joins lines from a host's words escapes those first: here a line break
  /// is a line break.
  static func escaped(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false)
      .map { escapedForTerminal($0, limit: .max) }.joined(separator: "\n")
  }

  /// Lines with colour where standard output is a terminal that has it.
  static func styled(_ lines: (Symbols) -> [StyledText]) {
    let style = OutputStyle.of(descriptor: STDOUT_FILENO)
    for text in lines(Symbols(style)) {
      // The pieces are escaped; what steers the terminal here are our own colours.
      write(text.rendered(colour: style.hasColour) + "\n", to: STDOUT_FILENO)
    }
  }

  /// One JSON value on one line, or indented.
  static func json(_ value: some Encodable, pretty: Bool = true) throws {
    write(try jsonText(value, pretty: pretty), to: STDOUT_FILENO)
  }

  /// The same with its line break, for whoever writes it elsewhere.
  static func jsonText(_ value: some Encodable, pretty: Bool) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting =
      pretty
      ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
    return escapedJSON(String(decoding: try encoder.encode(value), as: UTF8.self)) + "\n"
  }

  /// The same JSON with escapes for what JSON allows and a terminal obeys: C1 controls and marks that turn text around.
  static func escapedJSON(_ json: String) -> String {
    var result = ""
    for scalar in json.unicodeScalars {
      switch scalar.value {
      case 0x7f...0x9f, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069, 0xfeff:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// The code of the first error of standard output, but for a reader that is gone; 0 for none.
  private static let lost = Atomic<Int32>(0)

  /// The exit code of a verb that has done as asked: what it had to tell must have arrived.
  static func exitCode() -> Int32 {
    let code = lost.load(ordering: .relaxed)
    guard code != 0 else { return 0 }
    error("standard output can't be written, what was told is lost: \(String(cString: strerror(code)))")
    return CommandError.toolError
  }

  /// Writes all of a text; the value is the error's code where that was not possible, else 0.
  @discardableResult
  static func write(_ text: String, to descriptor: Int32) -> Int32 {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      // A reader that is gone gets nothing more; the work goes on without it.
      guard count > 0 else {
        let code = count < 0 ? errno : EIO
        if descriptor == STDOUT_FILENO, code != EPIPE {
          _ = lost.compareExchange(expected: 0, desired: code, ordering: .relaxed)
        }
        return code
      }
      rest = rest.dropFirst(count)
    }
    return 0
  }
}
