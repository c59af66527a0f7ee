/// What one client, and all of them together, may take. Every wait on a client has its end here.
struct Limits: Sendable {
  /// Connections of controllers at once; an idle one gives way to a new one.
  var connections = 256
  /// Connections at once on which no request was let in yet; the oldest gives way.
  var strangers = 64
  /// From a connection's beginning to the end of its first request's head, handshake included.
  var firstHead: Duration = .seconds(15)
  /// Between an answer's end and the next request's head.
  var idle: Duration = .seconds(60)
  /// The bytes of one header field, of all of them, and their number.
  var headerField = 16 * 1024
  var headers = 32 * 1024
  var headerCount = 100
  /// The bytes of a body that is read as a whole.
  var body = 64 * 1024
  /// For all that comes before an answer's head, unless the route says otherwise.
  var answer: Duration = .seconds(30)
  /// For sending an answer that is not streamed.
  var sending: Duration = .seconds(30)
  /// How long a relay may be quiet in both directions. The host program ends a conversation after half of that.
  var relayIdle: Duration = .seconds(3600)
  /// For connecting to a socket on this host.
  var connecting: Duration = .seconds(5)
  /// What is read of a refused request's body, so that the client reads the answer before the connection ends, and for how long.
  var leftover = 1 << 20
  var leftoverTime: Duration = .seconds(5)
  /// Conversations with the host program at once that are the agent's own.
  var services = 8
  /// Uploads that arrive at once.
  var uploads = 8
  /// How long an upload's next piece is waited for.
  var pause: Duration = .seconds(30)
  /// Between two looks for uploads that have expired.
  var tidying: Duration = .seconds(600)
  /// Files that were brought, at once.
  var uploadCount = 64
  /// How long a part of an upload is kept that nobody adds to, and how long a file that was asked for is not removed for others;
  /// in seconds.
  var partLife = 3600
  var uploadRest = 600
  /// Logs that are read at once, and how long one may be.
  var readers = 16
  var following: Duration = .seconds(4 * 3600)
  /// The bytes of one run's log, of all of them, and their number.
  var log: Int64 = 8 << 20
  var logs: Int64 = 64 << 20
  var logCount = 200
  /// Commands that run at once.
  var commands = 16
  /// The bytes of a command's output that are passed on.
  var output = 1 << 20
}
