import FoundationEssentials
import Testing

@testable import Commands

@Suite("A rollout's start")
struct StartTests {
  /// On hosts that refuse every connection, without loss of time.
  private static func start(_ folder: Folder, _ more: [String]) throws -> [String] {
    try folder.write("w1 ansible_host=127.0.0.1 ansible_port=1\n", to: "hosts.ini")
    return folder.plan(["rollout", "start", "--yes", "--state", folder.path("new/state")]) + more
  }

  @Test("The first one in a new state folder can be detached, and is followed to its end")
  func detached() async throws {
    try await Folder.with { folder in
      let started = try await Program.run(try Self.start(folder, ["--detach"]), in: folder)
      #expect(started.code == 0, "\(started.errors)")
      let watched = try await Program.run(
        ["rollout", "watch", "--state", folder.path("new/state"), "--timeout", "60s"], in: folder)
      #expect(watched.code == 6, "\(watched.output) \(watched.errors)")
      let status = try await Program.run(
        ["rollout", "status", "--state", folder.path("new/state"), "--output", "json"], in: folder)
      for key in ["live_slot", "live_version", "retained_version"] {
        #expect(status.output.contains("\"\(key)\" : null"), "\(key) is told, though nothing is known")
      }
      let paused = try await Program.run(
        ["rollout", "pause", "--state", folder.path("new/state")], in: folder)
      #expect(paused.code == 2, "nothing is at work, and it is not paused")
    }
  }

  @Test(
    "Where a file that the way to agents needs is missing, no rollout comes to be",
    arguments: [[], ["--detach"]])
  func missingFiles(more: [String]) async throws {
    try await Folder.with { folder in
      let rpc = "door: rpc\nrpc: {port: 7440, authority: no.pem, certificate: no.pem, key: no.key}\n"
      try folder.write("\(Folder.agent)\n\(rpc)", to: "agent.yml")
      let started = try await Program.run(try Self.start(folder, more), in: folder)
      #expect(started.code == 2)
      #expect(started.errors.contains("no.pem"))
      let listed = try await Program.run(
        ["rollout", "list", "--state", folder.path("new/state"), "--output", "json"], in: folder)
      #expect(listed.code == 0 && !listed.output.contains("demo"))
      let planned = try await Program.run(folder.plan(), in: folder)
      #expect(planned.code == 2 && planned.errors.contains("no.pem"))
    }
  }

  @Test("Archives may follow one option, or have one each")
  func archives() async throws {
    try await Folder.with { folder in
      let file = folder.path("agent.tar.gz")
      try folder.write("another archive", to: "arm.tar.gz")
      let arm = folder.path("arm.tar.gz")
      let plan = folder.plan(changing: ["--archive": []])
      for words in [
        ["--archive", "x86_64=\(file)", "aarch64=\(arm)"],
        ["--archive", "x86_64=\(file)", "--archive", "aarch64=\(arm)"],
      ] {
        let outcome = try await Program.run(plan + words, in: folder)
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("aarch64") && outcome.output.contains("x86_64"))
      }
    }
  }

  @Test("Output that can't be written is an error; a reader that is gone is none")
  func lostOutput() async throws {
    try await Folder.with { folder in
      func run(_ script: String) async throws -> Program.Outcome {
        try await Program.run(["-c", script, try Program.path()], of: "/bin/sh", in: folder)
      }
      let outcome = try await run("\"$0\" policy schema >/dev/full")
      #expect(outcome.code == 1)
      #expect(outcome.errors.contains("No space left on device"))
      let gone = try await run("{ \"$0\" policy schema; echo $? >&2; } | true")
      #expect(gone.errors == "0\n")
    }
  }
}
