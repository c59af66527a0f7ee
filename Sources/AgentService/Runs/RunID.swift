import FoundationEssentials
import HTTPTypes

/// What a run is called: a UUID in lower case.
struct RunID: Hashable, Sendable {
  /// 36 characters of 0 to 9, a to f and -.
  let text: String

  /// The header by which a client names a run, and is told its name.
  static let header = "Run-ID"

  /// Nil where the text is no UUID, in lower case or upper.
  init?(_ text: String) {
    let lower = text.lowercased()
    let parts = lower.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.map(\.utf8.count) == [8, 4, 4, 4, 12],
      parts.joined().utf8.allSatisfy({
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
          || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
      })
    else { return nil }
    self.text = lower
  }

  private init() { text = UUID().uuidString.lowercased() }

  /// A new one.
  static func made() -> RunID { RunID() }

  /// The one that a request names, or a new one.
  static func of(_ request: HTTPFields) throws(AgentError) -> RunID {
    guard let name = HTTPField.Name(header), request.contains(name) else { return made() }
    guard let text = request[name], let id = RunID(text) else {
      throw .invalid("the header \(header) is no UUID", hint: "send 8-4-4-4-12 hexadecimal digits, or none")
    }
    return id
  }
}
