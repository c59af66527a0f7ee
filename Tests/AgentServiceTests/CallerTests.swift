import NIOHTTP1
import Ports
import SSHTransport
import Testing

@testable import AgentRPC

@Suite("What an agent says of commands and files, as a controller reads it")
struct CallerTests {
  private func lines(_ text: String, cut: Int) throws -> [CommandLines.Line] {
    var reader = CommandLines()
    var found: [CommandLines.Line] = []
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      found += try reader.push(Array(rest.prefix(cut)))
      rest = rest.dropFirst(cut)
    }
    return found
  }

  @Test("Lines are read however they are cut", arguments: [1, 2, 7, 1000])
  func reads(cut: Int) throws {
    let text = """
      {"stream":"stdout","data":"a\\nb"}
      {"stream":"stderr","data":"c"}
      {"truncated":true}
      {"exit":3}

      """
    #expect(
      try lines(text, cut: cut) == [
        .output(.output("a\nb")), .output(.errors("c")), .output(.truncated), .end(.exit(3)),
      ])
  }

  @Test("Every end is told apart")
  func ends() throws {
    func end(_ text: String) throws -> CommandLines.Line { try CommandLines.read(Array(text.utf8)) }
    #expect(try end(#"{"signal":"SIGKILL"}"#) == .end(.signal("SIGKILL")))
    #expect(try end(#"{"timeout":true}"#) == .end(.timeout))
    #expect(
      try end(#"{"error":{"code":"busy","message":"m","hint":"h"}}"#)
        == .end(.refused(code: "busy", message: "m", hint: "h")))
  }

  @Test(
    "What is no line of an agent is refused",
    arguments: ["", "x", "[]", "{}", #"{"exit":"0"}"#, #"{"broken":true}"#, #"{"exit":1e99}"#])
  func refuses(text: String) {
    #expect(throws: CommandLines.Garbled.self) { try CommandLines.read(Array(text.utf8)) }
  }

  @Test(
    "Only an agent that says in its own words that it knows no commands has surely run none",
    arguments: [404, 405, 400, 500, 502, 504])
  func whoRefused(code: Int) {
    let status = HTTPResponseStatus(statusCode: code)
    func kind(_ words: String) -> DoorError.Kind? {
      do throws(DoorError) {
        _ = try RPCAgentCaller.refusal(status, words, "h1")
        return nil
      } catch { return error.kind }
    }
    for own in ["not_found", "method_not_allowed"] {
      #expect(kind(#"{"error":{"code":"\#(own)","message":"m"}}"#) == .unusable)
    }
    #expect(
      kind(#"{"error":{"code":"command_not_allowed","message":"m"}}"#) == nil, "it was refused, and is told")
    for words in ["", "<html>", "not found", #"{"stream":"stdout","data":"a"}"#] {
      #expect(kind(words) == .lost)
    }
  }

  private func outcome(_ pieces: [String]) async throws -> CommandStream.Outcome {
    var rest = pieces.map { Array($0.utf8) }[...]
    return try await CommandStream.follow(
      at: "h1", read: { () async throws(DoorError) in rest.popFirst() ?? [] }, tell: { _ in })
  }

  @Test("A stream that breaks off after anything was said is not one that said nothing")
  func breaksOff() async throws {
    #expect(try await outcome([]) == .silent)
    #expect(try await outcome([#"{"stream":"stdout","data":"a"}"# + "\n"]) == .brokenOff)
    #expect(try await outcome([#"{"stream":"std"#]) == .brokenOff, "half a line is a beginning")
    #expect(
      try await outcome([#"{"stream":"stdout","data":"a"}"# + "\n", #"{"exit":3}"# + "\n"])
        == .end(.exit(3)))
  }

  @Test("Only a program that refused, and had said nothing, has surely done nothing")
  func knowsWhatWasBegun() {
    func error(_ status: Int?, isBegun: Bool, _ text: String = "`--run` is not understood") -> DoorError {
      ProgramEnd(words: LastWords(text: text, status: status), isBegun: isBegun).error(
        at: "h1", what: "the command", unknown: "commands")
    }
    let refused = error(2, isBegun: false)
    #expect(refused.kind == .unusable && refused.hint.contains("upgrade it"))
    for (status, isBegun) in [(2, true), (nil, true), (nil, false), (0, false), (1, false), (137, true)] {
      let lost = error(status, isBegun: isBegun)
      #expect(lost.kind == .lost, "\(String(describing: status)) \(isBegun)")
      #expect(lost.message.contains("not known") && !lost.hint.contains("upgrade"))
    }
    for (status, text) in [
      (127, "sh: not found"), (1, "sudo: a password is required"), (1, "runuser: user a does not exist"),
    ] {
      #expect(error(status, isBegun: false, text).kind == .unusable)
      #expect(error(status, isBegun: true, text).kind == .lost)
    }
  }

  @Test("A line without an end is not gathered for ever")
  func isBounded() {
    var reader = CommandLines()
    #expect(throws: CommandLines.Garbled.self) {
      for _ in 0..<5 { _ = try reader.push([UInt8](repeating: 65, count: 1 << 19)) }
    }
  }

  @Test("Empty lines, of which there is no end, are refused at the first")
  func refusesEmptyLines() throws {
    var reader = CommandLines()
    #expect(throws: CommandLines.Garbled.self) { try reader.push(Array("{\"exit\":0}\n\n".utf8)) }
  }

  @Test("How a file stands is read, and nonsense is told to be that")
  func uploads() throws {
    func answer(_ text: String) -> UploadAnswer { UploadAnswer(Array(text.utf8)) }
    #expect(answer(#"{"have":5,"complete":false}"#) == .standing(have: 5, isComplete: false))
    #expect(
      answer(#"{"error":{"code":"no_room","message":"m"}}"#)
        == .refused(code: "no_room", message: "m", hint: ""))
    for text in ["", "{}", #"{"have":-1,"complete":true}"#, #"{"have":5}"#] {
      #expect(answer(text) == .garbled)
    }
    #expect(
      try answer(#"{"error":{"code":"a","message":"b","hint":"c"}}"#).refusal("p")
        == .refused(code: "a", message: "b", hint: "c"))
    #expect(throws: DoorError.self) { try answer("").refusal("p") }
    #expect(throws: DoorError.self) { try answer(#"{"have":5,"complete":false}"#).refusal("p") }
  }
}
