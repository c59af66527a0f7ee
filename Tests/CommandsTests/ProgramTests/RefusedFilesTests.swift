import BadFiles
import Testing

@Suite("Bad files end the program before anything is done")
struct RefusedFilesTests {
  /// Runs a plan with one bad file and checks that it's refused at its place.
  private func refuses(_ bad: BadFile, _ option: String, _ name: String) async throws {
    try await Folder.with { folder in
      try folder.write(bad.bytes, to: name)
      let before = try folder.names()
      let state = folder.path("state")
      let outcome = try await Program.run(
        folder.plan(changing: [option: [folder.path(name)]]), in: folder,
        environment: ["SWITCHYARD_STATE": state])
      outcome.isRefused(at: "\(folder.path(name)):\(bad.place): ", saying: bad.phrases)
      #expect(try folder.names() == before)
    }
  }

  @Test("A bad policy", arguments: BadPolicies.all)
  func policy(bad: BadFile) async throws { try await refuses(bad, "--policy", "bad.yml") }

  @Test("A bad agent file", arguments: BadAgents.all)
  func agent(bad: BadFile) async throws { try await refuses(bad, "--agent", "bad.yml") }

  @Test("A bad INI inventory", arguments: BadInventories.ini)
  func ini(bad: BadFile) async throws { try await refuses(bad, "--inventory", "bad.ini") }

  @Test("A bad YAML inventory", arguments: BadInventories.yml)
  func yml(bad: BadFile) async throws { try await refuses(bad, "--inventory", "bad.yml") }

  @Test("A bad limit", arguments: BadInventories.limits)
  func limit(bad: BadFile) async throws {
    try await Folder.with { folder in
      let limit = String(decoding: bad.bytes, as: UTF8.self)
      let outcome = try await Program.run(folder.plan(changing: ["--limit": [limit]]), in: folder)
      outcome.isRefused(at: "", saying: bad.phrases)
    }
  }

  @Test("Policies are checked all at once, and good ones are named before the bad")
  func policyCheck() async throws {
    try await Folder.with { folder in
      var paths = [folder.path("policy.yml")]
      for (number, bad) in BadPolicies.all.enumerated() {
        try folder.write(bad.bytes, to: "\(number).yml")
        paths.append(folder.path("\(number).yml"))
      }
      let outcome = try await Program.run(["policy", "check"] + paths, in: folder)
      #expect(outcome.code == 2)
      #expect(outcome.output == "\(paths[0]): policy p, 1 wave: good\n")
      for (number, bad) in BadPolicies.all.enumerated() {
        #expect(outcome.errors.contains("\(folder.path("\(number).yml")):\(bad.place): "), "\(bad)")
      }
    }
  }

  @Test(
    "A path that is no file",
    arguments: ["--policy", "--agent", "--inventory"],
    ["/nonexistent/x", "/dev/zero", "/dev/null/x", ""])
  func noFile(option: String, path: String) async throws {
    try await Folder.with { folder in
      let outcome = try await Program.run(folder.plan(changing: [option: [path]]), in: folder)
      outcome.isRefused(at: "\(path):1:1: ", saying: [])
    }
  }

  @Test("A folder in a file's place", arguments: ["--policy", "--agent"])
  func folder(option: String) async throws {
    try await Folder.with { folder in
      let outcome = try await Program.run(folder.plan(changing: [option: [folder.root]]), in: folder)
      outcome.isRefused(at: "\(folder.root):1:1: this is a folder", saying: ["name a file"])
    }
  }

  @Test("Everything that is wrong is said at once")
  func allAtOnce() async throws {
    try await Folder.with { folder in
      try folder.write("policy: 1\n", to: "bad-policy.yml")
      try folder.write("agent: 1\n", to: "bad-agent.yml")
      try folder.write("h[1:\n", to: "bad.ini")
      let arguments = folder.plan(changing: [
        "--policy": [folder.path("bad-policy.yml")], "--agent": [folder.path("bad-agent.yml")],
        "--inventory": [folder.path("bad.ini")], "--version": ["../2"], "--archive": ["/nonexistent"],
      ])
      let outcome = try await Program.run(arguments, in: folder)
      outcome.isRefused(
        at: "bad-policy.yml:1:1: ",
        saying: [
          "bad-agent.yml:1:", "bad.ini:1:1: ", "--version ../2: ", "/nonexistent: the archive can't be read",
        ])
    }
  }
}

extension Program.Outcome {
  /// Checks that the run was refused as invalid input: told on standard error, with its place, and nothing else.
  func isRefused(
    at place: String, saying phrases: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(code == 2, "\(errors)", sourceLocation: sourceLocation)
    #expect(output.isEmpty, sourceLocation: sourceLocation)
    #expect(errors.contains(place), "expected \(place), got \(errors)", sourceLocation: sourceLocation)
    for phrase in phrases {
      #expect(errors.contains(phrase), "expected \(phrase), got \(errors)", sourceLocation: sourceLocation)
    }
    #expect(errors.hasOnlyText, "\(errors.debugDescription)", sourceLocation: sourceLocation)
  }
}

extension String {
  /// Whether nothing in it steers a terminal.
  var hasOnlyText: Bool {
    unicodeScalars.allSatisfy { scalar in
      switch scalar.value {
      case 0x0a: true
      case 0x00...0x1f, 0x7f...0x9f, 0x200e, 0x200f, 0x202a...0x202e, 0x2066...0x2069, 0xfeff: false
      default: true
      }
    }
  }
}
