import Crypto
import FoundationEssentials
import RolloutModel
import Testing

@testable import AgentService

@Suite("The agent's token", .timeLimit(.minutes(5)), .serialized)
struct TokenTests {
  private static let token = "correct-horse-battery-staple"

  private static func with(_ body: @escaping @Sendable (RunningAgent) async throws -> Void) async throws {
    try await RunningAgent.with(
      configure: { configuration, _ in
        configuration.tokenHash = RolloutModel.Digest(bytes: Array(SHA256.hash(data: Data(token.utf8))))
      }, body)
  }

  @Test("With it a controller is let in; health needs none")
  func right() async throws {
    try await Self.with { agent in
      for scheme in ["Bearer", "bearer"] {
        let answer = try await agent.curl("/v1/facts", ["-H", "Authorization: \(scheme) \(Self.token)"])
        #expect(answer.status == 200)
      }
      #expect(try await agent.curl("/readyz", as: nil).status == 200)
      #expect(!agent.log.text.contains(Self.token))
    }
  }

  @Test(
    "Without it, or with another one, a good certificate is not enough, on whatever path",
    arguments: [
      nil, "Bearer", "Bearer ", "Bearer correct-horse-battery-stapl", "Bearer correct-horse-battery-staple2",
      "Bearer correct-horse-battery-staple, Bearer x", "Basic correct-horse-battery-staple",
      "correct-horse-battery-staple",
      "Bearer " + String(repeating: "a", count: 5000),
    ])
  func wrong(header: String?) async throws {
    try await Self.with { agent in
      let options = header.map { ["-H", "Authorization: \($0)"] } ?? []
      for (path, method) in [
        ("/v1/facts", "GET"), ("/v1/host", "POST"), ("/v1/tunnel?port=1", "POST"), ("/v1/none", "GET"),
      ] {
        let answer = try await agent.curl(path, ["-X", method] + options)
        #expect(answer.status == 401 && answer.body.contains("token_required"), "\(path): \(answer)")
        #expect(!answer.body.contains("horse"))
      }
      #expect(!agent.log.text.contains("horse"))
    }
  }

  @Test("The token alone, without a certificate, opens nothing, and is not looked at")
  func alone() async throws {
    try await Self.with { agent in
      let answer = try await agent.curl("/v1/facts", as: nil, ["-H", "Authorization: Bearer \(Self.token)"])
      #expect(
        answer.status == 401 && answer.body.contains("client certificate") && !answer.body.contains("token"))
    }
  }

  @Test("A token in place of its hash is refused by the configuration, and not repeated")
  func configuration() throws {
    let text = "certificate: /c\nkey: /k\nauthority: /a\ntoken_sha256: \(Self.token)\n"
    let problems = #expect(throws: (any Error).self) {
      _ = try ConfigurationFile.parse(Array(text.utf8), name: "agent.yml", readsRevocations: true)
    }
    let told = problems.map { "\($0)" } ?? ""
    #expect(
      told.contains("agent.yml:4:15: token_sha256 is no SHA-256") && !told.contains(Self.token), "\(told)")
  }
}
