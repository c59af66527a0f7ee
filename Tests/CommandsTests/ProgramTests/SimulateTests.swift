import Testing

@Suite("Simulated rollouts of a user's own policy")
struct SimulateTests {
  private let policy = """
    policy: walk
    waves:
      - {name: canary, hosts: 1, soak: 1m}
      - {name: rest, hosts: 100%, batch: 5, soak: 1m}
    budget: {canary: 0, wave: 0, fleet: 0, unreachable: 0}
    on_breach: rollback
    """

  private func simulate(_ words: [String]) async throws -> Program.Outcome {
    try await Folder.with { folder in
      try folder.write(policy, to: "walk.yml")
      return try await Program.run(
        ["simulate", "--policy", folder.path("walk.yml"), "--seeds", "5"] + words, in: folder)
    }
  }

  @Test(
    "A release that turns sick on every host meets the canary's clients and no others, and is rolled back")
  func sick() async throws {
    let outcome = try await simulate(["--hosts", "20", "--fault", "sickens=100%", "--output", "json"])
    #expect(outcome.code == 0 && outcome.errors.isEmpty)
    #expect(outcome.output.contains(#""rolled_back" : 5"#))
    #expect(outcome.output.contains(#""most" : 1,"#))
  }

  @Test("A good release is promoted, and no rollout of it is stopped")
  func good() async throws {
    let outcome = try await simulate(["--hosts", "20"])
    #expect(outcome.code == 0)
    #expect(outcome.output.contains("stopped although the release was good: 0"))
    #expect(outcome.output.contains("promoted  5"))
  }

  @Test(
    "Words that make no sense are refused, with what would",
    arguments: [
      (["--hosts", "0"], "from 1 to 100000"), ([], "--hosts N or --inventory F"),
      (["--hosts", "5", "--inventory", "x"], "exclude one another"),
      (["--inventory", "/nonexistent"], "/nonexistent"), (["--hosts", "5", "--fault", "x=1%"], "sickens"),
      (["--hosts", "5", "--fault", "sickens"], "KIND=RATE"),
      (["--hosts", "5", "--fault", "sickens=nan%"], "percentage"),
      (["--hosts", "5", "--fault", "sickens=101%"], "percentage"),
      (["--hosts", "5", "--fault", "sickens=5"], "percentage"),
      (["--hosts", "5", "--fault", "exits=1%", "--fault", "hangs=1%"], "one thing at a time"),
      (["--hosts", "5", "--seeds", "0"], "--seeds"),
    ])
  func refused(words: [String], phrase: String) async throws {
    try await simulate(words).isRefused(at: "", saying: [phrase])
  }
}
