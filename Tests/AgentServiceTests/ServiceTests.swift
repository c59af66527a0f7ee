import FoundationEssentials
import HostProtocol
import NIOCore
import RolloutModel
import Synchronization
import Testing

@testable import AgentService

@Suite("Services of the host", .timeLimit(.minutes(5)), .serialized)
struct ServiceTests {
  /// What a host program was asked.
  private final class Asked: Sendable {
    let orders = Mutex<[ServiceOrder]>([])
    var all: [ServiceOrder] { orders.withLock { $0 } }
  }

  private static func report(_ order: ServiceOrder, active: String) -> ServiceReport {
    ServiceReport(
      unit: UnitStatus(
        unit: order.unit.text, loadState: "loaded", activeState: active, subState: "running", invocation: "",
        restarts: 0, result: "success", exitStatus: 0, mainPID: 42),
      type: "notify", since: 1_700_000_000_000, age: .seconds(5), job: "done", isAsAsked: true, lastLines: [])
  }

  /// A host program that answers for services.
  private static func program(
    _ asked: Asked, _ answer: @escaping @Sendable (ServiceOrder) -> HostReply
  ) -> @Sendable (FarConnection) async throws -> Void {
    { far in
      var frames = FrameReader()
      for try await piece in far.incoming {
        frames.push(Array(piece.readableBytesView))
        while let frame = try frames.next() {
          switch frame {
          case .request(.hello(let version)):
            try await far.write(
              Frame.reply(
                .hello(
                  HostHello(
                    program: "1", version: version, bootID: "b", architecture: "x86_64", privileged: true))
              ).encoded())
          case .request(.service(let order)):
            asked.orders.withLock { $0.append(order) }
            try await far.write(Frame.reply(answer(order)).encoded())
          default: return
          }
        }
      }
    }
  }

  /// An agent that may ask for two services.
  private static func with(
    limits: Limits = Limits(),
    _ answer: @escaping @Sendable (ServiceOrder) -> HostReply = { .service(report($0, active: "active")) },
    _ body: @escaping @Sendable (RunningAgent, Asked) async throws -> Void
  ) async throws {
    let asked = Asked()
    let place = try Scratch()
    let socket = place.file("host.sock")
    try await FarServer.with(.unix(socket), serve: program(asked, answer)) { _ in
      try await RunningAgent.with(
        limits: limits,
        configure: { configuration, _ in
          configuration.hostSocket = socket
          configuration.services = ["caddy.service", "xray@1.service"].compactMap { ServiceName($0) }
        }
      ) { try await body($0, asked) }
    }
  }

  @Test("Those of the list are told, one by one and all together")
  func looks() async throws {
    try await Self.with { agent, asked in
      let all = try await agent.curl("/v1/services")
      #expect(all.status == 200)
      #expect(all.body.contains(#""unit":"caddy.service""#) && all.body.contains(#""unit":"xray@1.service""#))
      let one = try await agent.curl("/v1/services/caddy.service")
      #expect(one.status == 200)
      for part in [
        #""active":"active""#, #""main_pid":42"#, #""age_ms":5000"#, #""since":"2023-11-14T22:13:20Z""#,
        #""type":"notify""#, #""as_asked":true"#,
      ] {
        #expect(one.body.contains(part), "\(one.body)")
      }
      #expect(asked.all.map(\.action) == [.status, .status, .status])
    }
  }

  @Test("They are started, stopped and restarted, each within the time that the client gives")
  func changes() async throws {
    try await Self.with { agent, asked in
      for action in ["start", "stop", "restart"] {
        let answer = try await agent.curl("/v1/services/caddy.service/\(action)?timeout=7", ["-X", "POST"])
        #expect(answer.status == 200, "\(answer.body)")
      }
      let answer = try await agent.curl("/v1/services/xray@1.service/stop", ["-X", "POST"])
      #expect(answer.status == 200)
      #expect(asked.all.map(\.action) == [.start, .stop, .restart, .stop])
      #expect(asked.all.map(\.deadline) == [.seconds(7), .seconds(7), .seconds(7), .seconds(60)])
    }
  }

  @Test(
    "What is not on the list is refused, and the host program is not asked",
    arguments: [
      "/v1/services/ssh.service", "/v1/services/..%2f..%2fetc", "/v1/services/caddy.service%00",
      "/v1/services/caddy",
      "/v1/services/caddy.service;reboot", "/v1/services/CADDY.SERVICE", "/v1/services/%63addy.service",
    ])
  func refused(path: String) async throws {
    try await Self.with { agent, asked in
      for (suffix, method) in [("", "GET"), ("/stop", "POST"), ("/restart", "POST")] {
        let answer = try await agent.curl(path + suffix, ["-X", method, "--path-as-is"])
        #expect(answer.status == 404, "\(path)\(suffix): \(answer)")
      }
      for path in ["\(path)/kill", "/v1/services//stop", "/v1/services/caddy.service/stop/now"] {
        let answer = try await agent.curl(path, ["-X", "POST", "--path-as-is"])
        #expect(answer.status == 404, "\(path): \(answer)")
      }
      #expect(asked.all.isEmpty)
    }
  }

  @Test(
    "A timeout that is none is refused",
    arguments: ["0", "601", "-1", "a", "", "99999999999999999999", "7&timeout=8"])
  func timeouts(text: String) async throws {
    try await Self.with { agent, asked in
      let answer = try await agent.curl("/v1/services/caddy.service/stop?timeout=\(text)", ["-X", "POST"])
      #expect(answer.status == 400)
      #expect(asked.all.isEmpty)
    }
  }

  @Test(
    "What the host program refuses is told with its reason",
    arguments: [
      (HostFailure.Code.leaseHeld, 409), (.staleBelief, 409), (.notFound, 404), (.invalid, 403),
      (.deadline, 504),
      (.unitFailed, 502), (.shuttingDown, 503),
    ])
  func failures(code: HostFailure.Code, status: Int) async throws {
    try await Self.with({ _ in .failed(HostFailure(code, "it is so", hint: "do that")) }) { agent, _ in
      let answer = try await agent.curl("/v1/services/caddy.service/stop", ["-X", "POST"])
      #expect(answer.status == status)
      #expect(answer.body.contains("it is so") && answer.body.contains("do that"))
    }
  }

  @Test("Without a host program, and with one that is silent, the client hears of it")
  func absent() async throws {
    try await RunningAgent.with(configure: { configuration, _ in
      configuration.services = ["caddy.service"].compactMap { ServiceName($0) }
    }) { agent in
      let answer = try await agent.curl("/v1/services")
      #expect(answer.status == 503 && answer.body.contains("host_unavailable"))
    }
    let place = try Scratch()
    let socket = place.file("host.sock")
    let silent: @Sendable (FarConnection) async throws -> Void = { far in for try await _ in far.incoming {} }
    try await FarServer.with(.unix(socket), serve: silent) { _ in
      var limits = Limits()
      limits.answer = .seconds(1)
      try await RunningAgent.with(
        limits: limits,
        configure: { configuration, _ in
          configuration.hostSocket = socket
          configuration.services = ["caddy.service"].compactMap { ServiceName($0) }
        }
      ) { agent in
        let answer = try await agent.curl("/v1/services/caddy.service")
        #expect(answer.status == 504 || answer.status == 408, "\(answer)")
      }
    }
  }

  @Test("Without a certificate nothing is told of services")
  func strangers() async throws {
    try await Self.with { agent, asked in
      let look = try await agent.curl("/v1/services", as: nil)
      let stop = try await agent.curl("/v1/services/caddy.service/stop", as: nil, ["-X", "POST"])
      #expect(look.status == 401 && stop.status == 401)
      #expect(asked.all.isEmpty)
    }
  }
}
