import HummingbirdCore
import Logging
import MarkedYAML
import NIOCore
import NIOPosix
import RolloutModel

/// The agent: listens, serves, and drains when it is asked to end.
public struct AgentServer: Sendable {
  private let configuration: AgentConfiguration
  private let port: Int
  private let credentials: Credentials
  private let lifecycle = Lifecycle()
  private let connections: Connections
  private let responder: Responder
  private let uploads: UploadRoutes
  private let limits: Limits
  private let log: Logger

  /// An agent that will listen on a port; 0 is any that is free. Reads its certificates, which blocks.
  public init(
    _ configuration: AgentConfiguration, port: Int, slot: String, revocations: RevocationReader?, log: Logger
  ) throws(FileProblems) {
    try self.init(
      configuration, port: port, slot: slot, revocations: revocations, limits: Limits(), log: log)
  }

  init(
    _ configuration: AgentConfiguration, port: Int, slot: String, revocations: RevocationReader?,
    limits: Limits, log: Logger
  ) throws(FileProblems) {
    self.configuration = configuration
    self.port = port
    self.limits = limits
    self.log = log
    connections = Connections(limits: limits, log: log)
    credentials = try Credentials(TLSFiles(configuration, reader: revocations), log: log)
    uploads = UploadRoutes(store: UploadStore(of: configuration, limits), limits: limits)
    responder = Responder(
      table: RouteTable(
        routes: AgentRoutes(
          configuration: configuration, slot: slot, uploads: uploads, lifecycle: lifecycle, limits: limits,
          credentials: credentials
        ).all),
      gatekeeper: Gatekeeper(
        credentials: credentials, connections: connections, controllers: configuration.controllers,
        tokenHash: configuration.tokenHash),
      connections: connections, lifecycle: lifecycle, limits: limits, log: log)
  }

  /// Connections that have given way and are not closed yet.
  private static let closing = 16

  private enum Part: Sendable { case server, drained, helper }

  /// Serves until `stop` returns, then drains. `listening` is told the address once it serves. Throws where it can't listen, or where
  /// the server ends without having been asked.
  public func run(
    until stop: @escaping @Sendable () async -> Void,
    listening: @escaping @Sendable (SocketAddress?) async -> Void = { _ in }
  ) async throws {
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    let heartbeat = Heartbeat(loops: loops, log: log)
    let server = Server(
      childChannelSetup: AgentChannel(
        credentials: credentials, connections: connections, limits: limits, log: log,
        responder: { [responder] (request: Request, writer: consuming ResponseWriter, channel: any Channel) in
          try await responder.respond(to: request, writer, on: channel)
        }),
      configuration: ServerConfiguration(
        address: .hostname(configuration.listen, port: port),
        availableConnectionsDelegate: MaximumAvailableConnections(
          limits.connections + limits.strangers + Self.closing, logger: log)),
      onServerRunning: { [lifecycle] channel in
        lifecycle.listens()
        await heartbeat.ready()
        await listening(channel.localAddress)
      }, eventLoopGroup: loops, logger: log)
    let result = await outcome(server, heartbeat, stop)
    try await loops.shutdownGracefully()
    try result.get()
  }

  private func outcome(
    _ server: Server<AgentChannel>, _ heartbeat: Heartbeat, _ stop: @escaping @Sendable () async -> Void
  ) async -> Result<Void, any Error> {
    do {
      try await withThrowingTaskGroup(of: Part.self) { group in
        group.addTask {
          try await server.run()
          return .server
        }
        group.addTask {
          await stop()
          if !Task.isCancelled { await drain(server, heartbeat) }
          return .drained
        }
        group.addTask {
          await heartbeat.beat()
          return .helper
        }
        group.addTask {
          await Memory.giveBack()
          return .helper
        }
        group.addTask {
          await uploads.tidy(log: log)
          return .helper
        }
        group.addTask {
          await credentials.watch(every: .seconds(2)) { [responder] in responder.gatekeeper.review() }
          return .helper
        }
        defer { group.cancelAll() }
        while let part = try await group.next() {
          if part == .drained { return }
          if part == .server && lifecycle.phase != .draining { throw ServerEnded() }
        }
      }
      return .success(())
    } catch {
      return .failure(error)
    }
  }

  /// Takes nothing new, lets go on what runs for as long as the configuration says, and ends what is still there then.
  private func drain(_ server: Server<AgentChannel>, _ heartbeat: Heartbeat) async {
    lifecycle.drains()
    await heartbeat.stopping()
    log.info(
      "draining",
      metadata: ["connections": .stringConvertible(connections.count), "at most": "\(configuration.drain)"])
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        // Cancelled where all has ended before.
        do { try await Task.sleep(for: configuration.drain.duration) } catch { return }
        log.notice(
          "the time for draining is over", metadata: ["closed": .stringConvertible(connections.count)])
        connections.closeAll()
      }
      do { try await server.shutdownGracefully() } catch {
        log.error("the server did not drain", metadata: ["error": .string("\(error)")])
        connections.closeAll()
      }
      group.cancelAll()
    }
    log.info("drained")
  }
}

/// The server ended though nobody had asked it to.
struct ServerEnded: Error, CustomStringConvertible {
  var description: String { "the server stopped accepting connections" }
}
