import Glibc
import RolloutModel
import Testing

@Suite("HTTPS probes")
struct TLSTests {
  /// `openssl s_server` with a self-signed certificate, answering every GET with status 200. Ends with its owner.
  private final class Server {
    private let folder: Scratch
    private let process: Int32
    let port: Int

    init() throws {
      folder = try Scratch()
      let (key, certificate) = (folder.file("key.pem"), folder.file("cert.pem"))
      let maker = try Self.start([
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
        "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
        certificate,
      ])
      var status: Int32 = 0
      guard waitpid(maker, &status, 0) == maker, status == 0 else { throw CallFailed(call: "openssl req") }
      port = try freePort()
      process = try Self.start([
        "openssl", "s_server", "-quiet", "-accept", "127.0.0.1:\(port)", "-key", key, "-cert", certificate,
        "-www",
      ])
    }

    deinit {
      kill(process, SIGKILL)
      waitpid(process, nil, 0)
    }

    private static func start(_ words: [String]) throws -> Int32 {
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      for descriptor in [Int32(1), 2] {
        posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0)
      }
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
      var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
      defer { for argument in arguments { free(argument) } }
      var process: Int32 = 0
      guard posix_spawnp(&process, "openssl", &actions, nil, &arguments, environ) == 0 else {
        throw CallFailed(call: "posix_spawnp")
      }
      return process
    }
  }

  @Test("A self-signed certificate passes only where none is checked")
  func selfSigned() async throws {
    let server = try Server()
    let patience = ContinuousClock.now + .seconds(60)
    while try await probe(server.port, .tcp) != .healthy {
      try #require(ContinuousClock.now < patience, "openssl s_server never listens")
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(try await probe(server.port, .https(path: "/", verify: false)) == .healthy)
    let checked = try await probe(server.port, .https(path: "/", verify: true))
    #expect(checked == .noAnswer("SSL certificate problem: self-signed certificate"))
  }

  @Test("A server that doesn't speak TLS gives no answer")
  func clearText() async throws {
    let server = try TestServer(accepting: { $0.send(page("ok")) })
    let outcome = try await probe(server.port, .https(path: "/", verify: false))
    guard case .noAnswer = outcome else {
      Issue.record("taken for an answer: \(outcome)")
      return
    }
    let mute = try TestServer(accepting: { $0.waitForEnd() })
    #expect(
      try await probe(mute.port, .https(path: "/", verify: false), timeout: brief)
        == .noAnswer("no answer within 200ms"))
  }
}
