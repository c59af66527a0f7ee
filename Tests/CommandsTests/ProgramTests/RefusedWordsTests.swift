import Glibc
import Testing

@Suite("Bad words on the command line end the program before anything is done")
struct RefusedWordsTests {
  /// Runs a start, which would write a journal, and checks that there is none behind it.
  private func refuses(
    _ changes: [String: [String]], saying phrases: [String], in folder: Folder
  ) async throws {
    let before = try folder.names()
    let arguments = folder.plan(["rollout", "start", "--yes"], changing: changes)
    let outcome = try await Program.run(
      arguments, in: folder, environment: ["SWITCHYARD_STATE": folder.path("state")])
    outcome.isRefused(at: "", saying: phrases)
    #expect(try folder.names() == before)
  }

  @Test(
    "A version that could not stand in a path or a unit",
    arguments: [
      "", ".", "..", "../x", "a/b", "1 2", "1\n2", "1;reboot", "$(reboot)", "%h", "\u{1b}[31m", "é", "１",
      "\u{202e}1",
      String(repeating: "1", count: 65), "_1", "+1", "~1",
    ])
  func version(text: String) async throws {
    try await Folder.with { folder in
      try await refuses(
        ["--version": [text]], saying: ["--version", "not a version", "64 at most"], in: folder)
    }
  }

  @Test("A version that begins with a dash is no version either")
  func dash() async throws {
    try await Folder.with { folder in
      try await refuses(["--version": ["-1"]], saying: ["--version"], in: folder)
    }
  }

  @Test(
    "A path that is no archive",
    arguments: [
      ("/nonexistent/a.tar.gz", "No such file"), ("/tmp", "is no file"), ("/tmp/", "names a folder"),
      ("/dev/zero", "is no file"), ("", "names a folder"), ("x86_64=", "names a folder"),
      ("/dev/null/a", "Not a directory"), ("/nonexistent/\u{1b}]0;x\u{7}", "\\u{1b}"),
      (String(repeating: "a", count: 5000), "too long"),
    ])
  func archive(path: String, phrase: String) async throws {
    try await Folder.with { folder in
      try await refuses(["--archive": [path]], saying: [phrase], in: folder)
    }
  }

  @Test("An archive that is empty, or a pipe that nobody writes to")
  func emptyArchive() async throws {
    try await Folder.with { folder in
      try folder.write("", to: "empty.tar")
      try await refuses(
        ["--archive": [folder.path("empty.tar")]], saying: ["the archive is empty"], in: folder)
      #expect(mkfifo(folder.path("pipe.tar"), 0o600) == 0)
      try await refuses(["--archive": [folder.path("pipe.tar")]], saying: ["is no file"], in: folder)
    }
  }

  @Test("Two archives for one architecture, and none")
  func manyArchives() async throws {
    try await Folder.with { folder in
      let path = folder.path("agent.tar.gz")
      try await refuses(["--archive": [path, path]], saying: ["two archives", "ARCH=FILE"], in: folder)
      try await refuses(
        ["--archive": ["x86_64=\(path)", "x86_64=\(path)"]], saying: ["two archives for x86_64"], in: folder)
      try await refuses(["--archive": []], saying: ["--archive"], in: folder)
    }
  }

  @Test(
    "A digest that is none, or another file's",
    arguments: [
      ("", "64 hexadecimal digits"), ("abc", "64 hexadecimal digits"),
      (String(repeating: "g", count: 64), "64 hexadecimal digits"),
      (String(repeating: "0", count: 63), "64 hexadecimal digits"),
      (String(repeating: "0", count: 64), "and not 0000"), ("\u{1b}", "\\u{1b}"),
    ])
  func digest(text: String, phrase: String) async throws {
    try await Folder.with { folder in
      try await refuses(["--sha256": [text]], saying: [phrase], in: folder)
    }
  }

  @Test("One digest for two archives")
  func oneDigestForTwo() async throws {
    try await Folder.with { folder in
      let path = folder.path("agent.tar.gz")
      try await refuses(
        [
          "--archive": ["x86_64=\(path)", "aarch64=\(path)"], "--sha256": [String(repeating: "0", count: 64)],
        ],
        saying: ["there are 2 archives"], in: folder)
    }
  }

  @Test(
    "A folder for the journal that can't be one",
    arguments: [
      ("", "--state is empty"), ("/dev/null", "/dev/null is no folder"), ("/dev/null/x", "Not a directory"),
      ("/etc/passwd", "/etc/passwd is no folder"),
      ("\u{1b}[2J/\(String(repeating: "a", count: 300))", "\\u{1b}[2J"),
    ])
  func state(path: String, phrase: String) async throws {
    try await Folder.with { folder in
      try await refuses(["--state": [path]], saying: ["--state", phrase], in: folder)
      for verb in [["status"], ["list"], ["logs"], ["pause"], ["resume"], ["rollback"], ["skip", "r", "h"]] {
        let outcome = try await Program.run(["rollout"] + verb + ["--state", path], in: folder)
        outcome.isRefused(at: "--state", saying: [phrase])
      }
    }
  }

  @Test("A folder for the journal whose path leaves no room for a socket")
  func longState() async throws {
    try await Folder.with { folder in
      let state = folder.path(String(repeating: "a", count: 100))
      let outcome = try await Program.run(
        folder.plan(["rollout", "start", "--yes"], changing: ["--state": [state]]), in: folder)
      outcome.isRefused(at: "--state", saying: ["shorter path"])
    }
  }

  @Test("Verbs about a rollout make no journal where there is none")
  func noJournal() async throws {
    try await Folder.with { folder in
      let state = folder.path("state")
      let before = try folder.names()
      for verb in [
        ["status"], ["watch"], ["explain"], ["logs"], ["pause"], ["resume"], ["approve"], ["abort"],
        ["rollback"],
        ["skip", "r", "h"], ["retry", "r", "h"],
      ] {
        let outcome = try await Program.run(["rollout"] + verb + ["--state", state], in: folder)
        outcome.isRefused(at: "there is no journal in \(state); ", saying: ["--state"])
      }
      let list = try await Program.run(["rollout", "list", "--state", state], in: folder)
      #expect(list.code == 0 && list.output == "no rollouts in \(state)\n")
      let json = try await Program.run(["rollout", "list", "--output", "json", "--state", state], in: folder)
      #expect(json.code == 0 && json.output.filter { !$0.isWhitespace } == "[]")
      #expect(try folder.names() == before)
    }
  }

  @Test(
    "A start that lacks an option is refused, although the name of its version is also a flag of the program's"
  )
  func versionIsNoFlag() async throws {
    try await Folder.with { folder in
      for option in ["--inventory", "--agent", "--policy"] {
        try await refuses([option: []], saying: ["Missing expected argument '\(option)"], in: folder)
      }
      // A release that hosts fetch themselves has none.
      try await refuses(["--archive": []], saying: ["--archive FILE is missing"], in: folder)
      let outcome = try await Program.run(["rollout", "start", "--version"], in: folder)
      outcome.isRefused(at: "--version", saying: [])
    }
  }

  @Test(
    "A verb that there is not is named, with the one that was meant or those there are",
    arguments: [
      (["polcy", "check", "x"], "`switchyard` has no verb polcy; did you mean policy?"),
      (["rollout", "statsu"], "`switchyard rollout` has no verb statsu; did you mean status?"),
      (["help", "agent", "uninstal"], "`switchyard agent` has no verb uninstal; did you mean uninstall?"),
      (["policy", "zzzzzz"], "write check or schema"),
    ])
  func verbs(words: [String], phrase: String) async throws {
    try await Folder.with { folder in
      let outcome = try await Program.run(words, in: folder)
      #expect(outcome.code == 2 && outcome.output.isEmpty)
      #expect(outcome.errors.contains(phrase), "\(outcome.errors)")
    }
  }

  @Test("Flags that need a reason say so")
  func reasons() async throws {
    try await Folder.with { folder in
      for flag in ["--again", "--take-over"] {
        let outcome = try await Program.run(folder.plan() + [flag], in: folder)
        outcome.isRefused(at: flag, saying: ["needs --reason TEXT"])
      }
      let files = ["--inventory", folder.path("hosts.ini"), "--agent", folder.path("agent.yml")]
      let rollback = try await Program.run(["hosts", "rollback", "--take-over"] + files, in: folder)
      rollback.isRefused(at: "", saying: ["--reason TEXT"])
    }
  }

  @Test("An agent that can't run twice is refused by the plan")
  func notConcurrent() async throws {
    try await Folder.with { folder in
      try folder.write(Folder.agent + "\nconcurrent: false\n", to: "agent.yml")
      let outcome = try await Program.run(folder.plan(), in: folder)
      outcome.isRefused(
        at: folder.path("agent.yml") + ":7:13: concurrent: false", saying: ["side by side", "; write true"])
    }
  }

  @Test(
    "Verbs, flags and values that are not known",
    arguments: [
      ["frobnicate"], ["rollout", "strat"], ["rollout", "plan", "--frob"], ["--frob"], ["policy", "check"],
      ["hosts", "list"], ["rollout", "plan"], ["rollout", "status", "--output", "xml"], ["rollout", "skip"],
      ["rollout", "status", "a", "b"], ["policy", "schema", "x"], ["\u{1b}[31m"],
      ["rollout", "\u{202e}plan"],
      ["--generate-completion-script", "csh"], ["rollout", "watch", "--timeout", "soon"], [""],
    ])
  func unknown(words: [String]) async throws {
    try await Folder.with { folder in
      // A journal's folder that is there: what is wrong is the words alone.
      let outcome = try await Program.run(
        words, in: folder, environment: ["SWITCHYARD_STATE": folder.root])
      outcome.isRefused(at: "", saying: [])
      #expect(!outcome.errors.isEmpty)
    }
  }
}
