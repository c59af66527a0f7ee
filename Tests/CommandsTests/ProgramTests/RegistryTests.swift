import Testing

@Suite("The registry of agents, from the command line")
struct RegistryTests {
  @Test("A host that is no more leaves the registry without being asked, and may be registered anew")
  func gone() async throws {
    try await Folder.with { folder in
      try folder.write(
        "w1 ansible_host=127.0.0.1 ansible_port=1\nw2 ansible_host=127.0.0.2\n", to: "hosts.ini")
      func agent(_ words: String...) async throws -> Program.Outcome {
        try await Program.run(
          ["agent"] + words + ["--inventory", folder.path("hosts.ini"), "--state", folder.path("state")],
          in: folder)
      }
      #expect(try await agent("register", "--token-file", folder.path("token")).code == 0)
      let again = try await agent("register", "--token-file", folder.path("other"))
      #expect(again.code == 2 && again.errors.contains("--gone"), "\(again.errors)")
      let unasked = try await agent("uninstall", "--gone", "--limit", "w1")
      #expect(unasked.code == 2 && unasked.errors.contains("--yes"))
      let gone = try await agent("uninstall", "--gone", "--yes", "--limit", "w1")
      #expect(gone.code == 0 && gone.output.contains("out of the registry"), "\(gone.errors)")
      let twice = try await agent("uninstall", "--gone", "--yes", "--limit", "w1")
      #expect(twice.code == 0 && twice.output.contains("was not registered"))
      #expect(try await agent("register", "--token-file", folder.path("new"), "--limit", "w1").code == 0)
    }
  }
}
