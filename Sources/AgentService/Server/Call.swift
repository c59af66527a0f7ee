import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import RolloutModel
import Synchronization

/// One request, with what is known of who makes it.
struct Call: Sendable {
  let request: Request
  /// What the path has in the places of its route's names.
  let parameters: [String: String]
  let body: CallBody
  /// Who asks; nil on routes that are open to everybody.
  let caller: Caller?
  /// The client's connection.
  let channel: any Channel
  let log: Logger

  /// The log, each of whose events says who asks and for what.
  var named: Logger {
    var log = log
    log[metadataKey: "client"] = .string(caller?.label ?? "-")
    log[metadataKey: "path"] = .string(request.uri.path)
    return log
  }

  /// What the path has in the place of a name; a route asks for none but its own.
  func parameter(_ name: String) -> String { parameters[name] ?? "" }

  /// Whether a key is in the query at all.
  func hasQuery(_ key: String) -> Bool {
    (request.uri.query ?? "").split(separator: "&").contains { $0.prefix(while: { $0 != "=" }) == key }
  }

  /// The value of a key in the query, as it stands there; nil where it is absent or stands there twice.
  func query(_ key: String) -> String? {
    let pairs = (request.uri.query ?? "").split(separator: "&").map { $0.split(separator: "=", maxSplits: 1) }
    let values = pairs.filter { $0.first.map { $0 == key } ?? false }
    guard values.count == 1, let value = values.first, value.count == 2 else { return nil }
    return value.last.map { String($0) }
  }
}

/// A request's body, which can be read once, and how far it was read.
final class CallBody: Sendable {
  enum Progress: Sendable { case untouched, begun, ended }

  private let body: RequestBody
  private let state = Mutex(Progress.untouched)

  init(_ body: RequestBody) { self.body = body }

  var progress: Progress { state.withLock { $0 } }

  /// The pieces, for whoever asks first; whoever comes later gets none.
  func pieces() -> RequestBody.AsyncIterator? {
    let isFirst = state.withLock { state in
      defer { if state == .untouched { state = .begun } }
      return state == .untouched
    }
    return isFirst ? body.makeAsyncIterator() : nil
  }

  /// The end was read.
  func end() { state.withLock { $0 = .ended } }

  /// The whole body, within a bound.
  func whole(upTo limit: Int) async throws -> ByteBuffer {
    guard var pieces = pieces() else { return ByteBuffer() }
    var whole = ByteBuffer()
    while var piece = try await Self.next(&pieces) {
      guard whole.readableBytes + piece.readableBytes <= limit else {
        throw AgentError(
          .contentTooLarge, "too_large", "the body has more than \(limit) bytes", hint: "send less")
      }
      whole.writeBuffer(&piece)
    }
    try Task.checkCancellation()
    end()
    return whole
  }

  private static func next(_ pieces: inout RequestBody.AsyncIterator) async throws -> ByteBuffer? {
    do { return try await pieces.next() } catch is CancellationError { throw CancellationError() } catch {
      throw AgentError.invalid(
        "the body is no whole body: \(escapedForTerminal("\(error)"))", hint: "send the request anew")
    }
  }
}
