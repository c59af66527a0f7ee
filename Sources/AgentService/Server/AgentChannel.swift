import Glibc
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import NIOSSL

/// A client's connection: TLS with the identity in force at its beginning, then HTTP/1.1.
struct AgentChannel: ServerChildChannel {
  typealias Value = HTTP1Channel.Value

  private let http: HTTP1Channel
  private let credentials: Credentials
  private let connections: Connections

  init(
    credentials: Credentials, connections: Connections, limits: Limits, log: Logger,
    responder: @escaping HTTPChannelHandler.Responder
  ) {
    self.credentials = credentials
    self.connections = connections
    http = HTTP1Channel(
      responder: responder,
      configuration: .init(
        // Not Hummingbird's own idle time: it would end a relay whose client only listens.
        additionalChannelHandlers: [ConnectionGuard(limits: limits, connections: connections, log: log)],
        httpDecoderConfiguration: .init(
          maxHeaderFieldSize: limits.headerField, maxHeaderListSize: limits.headers,
          maxHeaderFieldCount: limits.headerCount)))
  }

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    channel.eventLoop.makeCompletedFuture {
      try Self.noticeDeadPeers(channel)
      try channel.pipeline.syncOperations.addHandler(Severing())
      let identity = credentials.current
      try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: identity.context))
      connections.add(channel, identity)
    }.flatMap { http.setup(channel: channel, logger: logger) }
  }

  /// Serves the connection. Its end, whoever brought it about, cancels what is under way for it.
  func handle(value: Value, logger: Logger) async {
    let (closed, end) = AsyncStream<Void>.makeStream()
    value.channel.closeFuture.whenComplete { _ in end.finish() }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await http.handle(value: value, logger: logger) }
      group.addTask { for await _ in closed {} }
      await group.next()
      group.cancelAll()
    }
  }

  /// A client whose machine has vanished is noticed in two minutes, though nothing is sent.
  private static func noticeDeadPeers(_ channel: any Channel) throws {
    guard let options = channel.syncOptions else { return }
    try options.setOption(.socketOption(.so_keepalive), value: 1)
    try options.setOption(.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: 60)
    try options.setOption(.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: 15)
    try options.setOption(.tcpOption(.init(rawValue: TCP_KEEPCNT)), value: 4)
  }
}
