import HostProtocol
import Ports
import RolloutModel
import Testing

@testable import Commands

@Suite("What the program writes, and where")
struct OutputTests {
  @Test(
    "Help is no error",
    arguments: [
      ["--help"], ["-h"], ["help"], ["help", "rollout", "plan"], ["rollout", "--help"],
      ["rollout", "start", "--help"],
      ["rollout", "skip", "--help"], ["hosts", "clear", "--help"], ["policy", "check", "--help"], [],
      ["rollout"],
    ])
  func help(words: [String]) async throws {
    try await Folder.with { folder in
      let outcome = try await Program.run(words, in: folder)
      #expect(outcome.code == 0)
      #expect(outcome.output.contains("USAGE: switchyard"))
      #expect(outcome.output.hasOnlyText && outcome.errors.isEmpty)
    }
  }

  @Test("The program tells its own version")
  func version() async throws {
    let wanted = "switchyard \(switchyardVersion)\n"
    try await Folder.with { folder in
      let outcome = try await Program.run(["--version"], in: folder)
      #expect(outcome.code == 0 && outcome.errors.isEmpty)
      #expect(outcome.output == wanted)
    }
  }

  @Test(
    "Completions for shells",
    arguments: [("bash", "complete "), ("zsh", "#compdef switchyard"), ("fish", "complete -c 'switchyard'")])
  func completions(shell: String, phrase: String) async throws {
    try await Folder.with { folder in
      let outcome = try await Program.run(["--generate-completion-script", shell], in: folder)
      #expect(outcome.code == 0 && outcome.errors.isEmpty)
      #expect(outcome.output.contains(phrase))
      for verb in ["rollout", "plan", "approve", "hosts", "forget", "schema"] {
        #expect(outcome.output.contains(verb), "\(verb) is missing")
      }
    }
  }

  @Test("The schema is JSON, and the same in a pipe as in the documentation's verb")
  func schema() async throws {
    try await Folder.with { folder in
      let outcome = try await Program.run(["policy", "schema"], in: folder)
      #expect(outcome.code == 0 && outcome.errors.isEmpty)
      #expect(outcome.output.contains(#""$schema""#))
    }
  }

  @Test(
    "A pipe, NO_COLOR and a dumb terminal get no escape sequences; a terminal gets colours",
    arguments: [
      (["TERM": "xterm"], true), (["TERM": "xterm", "NO_COLOR": "1"], false), (["TERM": "dumb"], false),
      ([:], false),
      (["TERM": "xterm", "NO_COLOR": ""], true),
    ])
  func colours(environment: [String: String], isColoured: Bool) async throws {
    try await Folder.with { folder in
      for words in [folder.plan(), ["hosts", "list", "--inventory", folder.path("hosts.ini")]] {
        let pipe = try await Program.run(words, in: folder, environment: environment)
        #expect(pipe.code == 0 && pipe.output.hasOnlyText)
      }
      let terminal = try await Program.runOnTerminal(folder.plan(), in: folder, environment: environment)
      #expect(terminal.code == 0 && terminal.output.contains("wave 1 all"))
      #expect(terminal.output.contains("\u{1b}") == isColoured)
    }
  }

  private static let hostile = "a\u{1b}[2J\nb\r\u{9b}31m\u{202e}"

  @Test("What hosts say stays on its line and steers no terminal")
  func hostsAreEscaped() {
    let failure = HostFailure(.unitFailed, Self.hostile, hint: Self.hostile)
    let row = HostFleet.row(HostFleet.Answer(host: "h1", result: .success(.failed(failure))))
    #expect(row.line.hasOnlyText && !row.line.contains("\n"))
    #expect(row.line.hasPrefix(#"h1  a\u{1b}[2J\u{a}b\u{d}"#))
    let host = host("h1", "canary", .failed, reason: Self.hostile, lastLines: [Self.hostile, Self.hostile])
    let summary = LogLine.summary(host)
    #expect(summary.hasOnlyText && summary.split(separator: "\n").count == 3)
  }

  @Test("What a program writes as lines is escaped once more at the door")
  func linesAreEscaped() {
    #expect(Output.escaped("a\nb \u{1b}[31m") == "a\nb \\u{1b}[31m")
    #expect(Output.escaped(#"\u{1b}"#) == #"\u{1b}"#)
    let long = String(repeating: "x", count: 5000)
    #expect(Output.escaped(long) == long)
  }

  @Test("JSON says the same without what a terminal obeys")
  func jsonIsEscaped() {
    #expect(Output.escapedJSON("\"a\u{9b}31m\u{202e}é\"") == #""a\u009b31m\u202eé""#)
  }
}
