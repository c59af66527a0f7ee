import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import RolloutModel

/// Answers requests: finds the route, asks the gatekeeper, bounds the time, says what went wrong, writes the log.
struct Responder: Sendable {
  let table: RouteTable
  let gatekeeper: Gatekeeper
  let connections: Connections
  let lifecycle: Lifecycle
  let limits: Limits
  let log: Logger

  /// Thrown for Hummingbird to close the connection: what is left of the request is not worth reading.
  private struct ConnectionEnds: Error {}

  /// Answers one request. Throws where the connection must end with it.
  func respond(
    to request: Request, _ writer: consuming ResponseWriter, on channel: any Channel
  ) async throws {
    let began = ContinuousClock.now
    let body = CallBody(request.body)
    var caller: Caller?
    var answer: Answer
    do {
      let (route, parameters, found) = try await admit(request, on: channel)
      caller = found
      if Self.expects(request) { try await writer.writeInformationalHead(HTTPResponse(status: .continue)) }
      let call = Call(
        request: request, parameters: parameters, body: body, caller: caller, channel: channel, log: log)
      answer = try await Self.answer(call, route)
    } catch {
      answer = Answer(self.error(error, request))
    }
    if lifecycle.phase == .draining { answer.headers[.connection] = "close" }
    // Who is to come with another certificate has to come anew.
    if answer.status == .unauthorized { answer.headers[.connection] = "close" }
    if answer.status.code >= 400 && Self.hasBody(request) { answer.headers[.connection] = "close" }
    note(request, caller, answer.status, since: began, on: channel)
    try await send(answer, to: request, writer, on: channel)
    try await finish(body, refused: answer.status.code >= 400, request)
  }

  private func admit(
    _ request: Request, on channel: any Channel
  ) async throws -> (Route, [String: String], Caller?) {
    let path = request.uri.path
    let caller = Route.needsCaller(path) ? try await gatekeeper.caller(of: request.headers, on: channel) : nil
    let (route, parameters) = try table.route(request.method, path)
    guard caller == nil || lifecycle.phase != .draining else {
      throw AgentError(
        .serviceUnavailable, "draining", "this agent is on its way to its end",
        hint: "connect anew: another one takes over")
    }
    guard caller.map({ connections.admit(channel, with: $0.certificate) }) ?? true else {
      throw AgentError(
        .serviceUnavailable, "busy", "\(limits.connections) connections of controllers are busy already",
        hint: "ask again later, or over a connection that is open")
    }
    if let caller { try gatekeeper.checkAgain(caller) }
    return (route, parameters, caller)
  }

  private static func answer(_ call: Call, _ route: Route) async throws -> Answer {
    guard let limit = route.limit else { return try await route.answer(call) }
    return try await within(limit) { try await route.answer(call) }
  }

  private func error(_ error: any Error, _ request: Request) -> AgentError {
    switch error {
    case let error as AgentError: return error
    case is DeadlinePassed:
      return AgentError(
        .requestTimeout, "timeout", "the request took too long", hint: "send its body faster, or ask for less"
      )
    default:
      log.error(
        "a request failed", metadata: ["path": .string(request.uri.path), "error": .string("\(error)")])
      return AgentError(
        .internalServerError, "internal", "the agent could not do this",
        hint: "see the agent's log on the host")
    }
  }

  private func send(
    _ answer: Answer, to request: Request, _ writer: consuming ResponseWriter, on channel: any Channel
  ) async throws {
    var head = HTTPResponse(status: answer.status, headerFields: answer.headers)
    switch answer.body {
    case .whole(let buffer):
      let timer = Self.close(channel, after: limits.sending)
      defer { timer.cancel() }
      head.headerFields[.contentLength] = String(buffer.readableBytes)
      if request.method == .head {
        try await writer.writeResponse(head)
      } else {
        try await writer.write(response: head, body: ResponseBody(byteBuffer: buffer))
      }
    case .streamed(let stream) where request.method == .head:
      // Nobody wants what it would have been written from.
      stream.abandon()
      try await writer.writeResponse(head)
    case .streamed(let stream):
      let timer = stream.limit.map { Self.close(channel, after: $0) }
      defer { timer?.cancel() }
      var body: any ResponseBodyWriter
      do { body = try await writer.writeHead(head) } catch {
        stream.abandon()
        throw error
      }
      try await stream.write(&body)
    }
  }

  private static func close(_ channel: any Channel, after limit: Duration) -> Scheduled<Void> {
    channel.eventLoop.scheduleTask(in: TimeAmount(limit)) { channel.close(promise: nil) }
  }

  /// Reads what is left of the request within bounds, so that the next one can follow and a refused client hears why.
  private func finish(_ body: CallBody, refused: Bool, _ request: Request) async throws {
    if body.progress == .ended { return }
    // A client that waits for leave to send its body sends none now.
    guard body.progress == .untouched, !(refused && Self.expects(request)) else { throw ConnectionEnds() }
    guard try await within(limits.leftoverTime, { try await readOut(body) }) else { throw ConnectionEnds() }
  }

  /// Whether the body's end was found within the bound.
  private func readOut(_ body: CallBody) async throws -> Bool {
    guard var rest = body.pieces() else { return false }
    var count = 0
    while count < limits.leftover {
      guard let piece = try await rest.next() else {
        try Task.checkCancellation()
        return true
      }
      count += piece.readableBytes
    }
    return false
  }

  private static func expects(_ request: Request) -> Bool {
    request.headers[.expect]?.lowercased() == "100-continue"
  }

  private static func hasBody(_ request: Request) -> Bool {
    request.headers[.transferEncoding] != nil || !["0", nil].contains(request.headers[.contentLength])
  }

  private func note(
    _ request: Request, _ caller: Caller?, _ status: HTTPResponse.Status,
    since began: ContinuousClock.Instant, on channel: any Channel
  ) {
    // Probes come every second.
    let isQuiet = caller == nil && status.code < 400 || request.uri.path == "/readyz"
    log.log(
      level: isQuiet ? .debug : .info, "request",
      metadata: [
        "method": .string(request.method.rawValue), "path": .string(request.uri.path),
        "status": .string("\(status.code)"), "client": .string(caller?.label ?? "-"),
        "peer": .string(peer(channel.remoteAddress)),
        "ms": .string("\(Int(began.duration(to: .now) / .milliseconds(1)))"),
      ])
  }
}
