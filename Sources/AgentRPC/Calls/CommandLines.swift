import FoundationEssentials
import Ports
import RolloutModel

/// Cuts what an agent says of a command into lines of JSON, and reads them.
struct CommandLines {
  /// One line.
  enum Line: Hashable {
    case output(AgentCommandOutput)
    case end(AgentCommandEnd)
  }

  /// What is wrong with what came.
  struct Garbled: Error, Hashable {
    var why: String
  }

  private struct Fields: Decodable {
    struct Failure: Decodable {
      var code: String
      var message: String
      var hint: String?
    }

    var stream: String?
    var data: String?
    var truncated: Bool?
    var exit: Int?
    var signal: String?
    var timeout: Bool?
    var error: Failure?
  }

  private var buffer: [UInt8] = []
  /// How much of it is known to have no end of a line.
  private var searched = 0

  /// The longest line that is taken; an agent's own are far shorter.
  private static let limit = 2 << 20

  /// The whole lines that these bytes complete.
  mutating func push(_ bytes: [UInt8]) throws(Garbled) -> [Line] {
    buffer += bytes
    var lines: [Line] = []
    var start = 0
    while let end = buffer[max(start, searched)...].firstIndex(of: UInt8(ascii: "\n")) {
      // An agent sends none that are empty: who sends millions of them wants to be waited for.
      guard end > start else { throw Garbled(why: "an empty line") }
      lines.append(try Self.read(Array(buffer[start..<end])))
      start = end + 1
    }
    buffer.removeFirst(start)
    searched = buffer.count
    guard buffer.count <= Self.limit else { throw Garbled(why: "a line of more than \(Self.limit) bytes") }
    return lines
  }

  /// One line, or a whole answer that is an error.
  static func read(_ line: [UInt8]) throws(Garbled) -> Line {
    let fields: Fields
    do { fields = try JSONDecoder().decode(Fields.self, from: Data(line)) } catch {
      throw Garbled(why: "a line that is no JSON of an agent")
    }
    if let data = fields.data { return .output(fields.stream == "stderr" ? .errors(data) : .output(data)) }
    if fields.truncated == true { return .output(.truncated) }
    if let code = fields.exit { return .end(.exit(code)) }
    if let signal = fields.signal { return .end(.signal(signal)) }
    if fields.timeout == true { return .end(.timeout) }
    if let error = fields.error {
      return .end(.refused(code: error.code, message: error.message, hint: error.hint ?? ""))
    }
    throw Garbled(why: "a line that says nothing known")
  }
}
