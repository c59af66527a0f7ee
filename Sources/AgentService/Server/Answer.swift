import HTTPTypes
import HummingbirdCore
import NIOCore

/// What is sent back.
struct Answer: Sendable {
  var status: HTTPResponse.Status
  var headers: HTTPFields
  var body: Body

  enum Body: Sendable {
    case whole(ByteBuffer)
    case streamed(Stream)
  }

  /// A body that comes into being while it is sent.
  struct Stream: Sendable {
    /// How long all of it may take, however slowly the client reads; nil where `write` sees to that.
    let limit: Duration?
    /// Sends all of it, its end included. What it holds is let go of, however it ends.
    let write: @Sendable (inout any ResponseBodyWriter) async throws -> Void
    /// Lets go of what `write` would use, where it is never called.
    let abandon: @Sendable () -> Void
  }

  /// A JSON document.
  init(_ json: JSON, status: HTTPResponse.Status = .ok) {
    self.status = status
    headers = [.contentType: "application/json"]
    body = .whole(ByteBuffer(bytes: json.bytes))
  }

  /// A streamed body.
  init(type: String, _ stream: Stream) {
    status = .ok
    headers = [.contentType: type]
    body = .streamed(stream)
  }

  init(_ error: AgentError) {
    self.init(error.body, status: error.status)
    if let allow = error.allow { headers[.allow] = allow }
  }
}
