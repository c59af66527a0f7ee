import Glibc
import Logging
import RolloutModel

/// Writes events to standard error, one line each: what a client or file said is escaped, and shortened where it is long.
struct LineLog: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .info

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let bytes = Array((Self.line(of: event, metadata) + "\n").utf8)
    // Where nobody listens there is nobody to tell.
    _ = write(2, bytes, bytes.count)
  }

  /// An event as it is written.
  static func line(of event: LogEvent, _ metadata: Logger.Metadata) -> String {
    var line = "\(event.level): \(escapedForTerminal(event.message.description, limit: 1000))"
    let all = metadata.merging(event.metadata ?? [:]) { _, own in own }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) {
      line += " \(escapedForTerminal(key, limit: 40))=\(shown(value.description))"
    }
    return line
  }

  /// A value in quotes where it would not be seen to be one.
  private static func shown(_ text: String) -> String {
    let safe = escapedForTerminal(text)
    let needsQuotes = safe.isEmpty || safe.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" })
    guard needsQuotes else { return safe }
    return "\"" + safe.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
}
