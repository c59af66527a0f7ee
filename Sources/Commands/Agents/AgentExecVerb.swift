import Agents
import ArgumentParser
import Ports
import RolloutModel

struct AgentExecVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec",
    abstract: "Run a command that the agents' own configuration lists, on all hosts that a pattern names.",
    discussion: """
      Over SSH the installed agent's program runs it, as the agent's user and by the same list.
      Exit codes: 0 it ended with 0 everywhere, 1 it did not.
      """)
  @Argument(help: "Which hosts: an Ansible pattern.")
  var hosts: String

  @Argument(help: "The command's name.")
  var command: String

  @Argument(help: "Values for its places.")
  var arguments: [String] = []

  @Option(help: ArgumentHelp("An Ansible inventory.", valueName: "FILE"))
  var inventory: String

  @OptionGroup var options: AgentOptions
  @OptionGroup var output: OutputOptions

  @Option(
    help: ArgumentHelp("The most that it may take on a host, whatever the agent allows.", valueName: "D"))
  var within = "11m"

  func run() async throws {
    let limit = Span(milliseconds: try CertText.span(within, of: "--within")).duration
    let call = AgentCommandCall(name: command, arguments: try Self.values(arguments))
    let fleet = try AgentFleet(options)
    let chosen = try await HostFleet.load(path: inventory, limit: hosts)
    // Lines are told as they come, unless they are to be parts of one document.
    let isTold = !output.isJSON
    let rows = try await fleet.each(chosen) { site, host in
      let caller = site.caller
      let said = SaidOutput(host: host.name, isTold: isTold)
      let end: Result<AgentCommandEnd, DoorError>
      do throws(DoorError) {
        end = .success(try await caller.run(call, on: host, within: limit) { await said.add($0) })
      } catch {
        end = .failure(error)
      }
      return await AgentExecRow(host.name, end, await said.finish(), door: caller.way(to: host))
    }
    if output.isJSON {
      try Output.json(rows)
    } else {
      for row in rows { Output.line(row.line) }
    }
    if rows.contains(where: { !$0.ok }) { throw ExitCode(CommandError.toolError) }
  }

  /// `KEY=VALUE` as a person writes it.
  static func values(_ words: [String]) throws -> [String: String] {
    var values: [String: String] = [:]
    for word in words {
      guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
        throw CommandError.invalid("\(escapedForTerminal(word)) is no KEY=VALUE")
      }
      let key = String(word[..<equals])
      guard values.updateValue(String(word[word.index(after: equals)...]), forKey: key) == nil else {
        throw CommandError.invalid("\(escapedForTerminal(key)) is given twice")
      }
    }
    return values
  }
}

/// What a command says on one host: told line by line, or kept up to a bound.
actor SaidOutput {
  /// What is kept.
  struct Kept: Sendable {
    var output = ""
    var errors = ""
    var truncated = false
  }

  private let host: String
  private let isTold: Bool
  private var kept = Kept()
  /// A line that goes on beyond that is told in pieces: its end may never come.
  private static let longestLine = 4000
  /// Bytes that more may be kept of.
  private var room = 1 << 20
  /// The beginnings of lines that are not whole yet.
  private var open = (output: "", errors: "")

  init(host: String, isTold: Bool) {
    self.host = escapedForTerminal(host)
    self.isTold = isTold
  }

  func add(_ piece: AgentCommandOutput) {
    switch piece {
    case .output(let text): isTold ? tell(text, &open.output, "|") : keep(text, \.output)
    case .errors(let text): isTold ? tell(text, &open.errors, "!") : keep(text, \.errors)
    case .truncated:
      kept.truncated = true
      if isTold { Output.line("\(host) … there is more, which the agent left out") }
    }
  }

  /// The end of it.
  func finish() -> Kept {
    if !open.output.isEmpty { Output.line("\(host) | \(escapedLine(open.output))") }
    if !open.errors.isEmpty { Output.line("\(host) ! \(escapedLine(open.errors))") }
    open = ("", "")
    return kept
  }

  private func keep(_ text: String, _ place: WritableKeyPath<Kept, String>) {
    // What is kept is the beginning, without a hole in it.
    guard !kept.truncated, text.utf8.count <= room else {
      kept.truncated = true
      return
    }
    room -= text.utf8.count
    kept[keyPath: place] += text
  }

  private func tell(_ text: String, _ open: inout String, _ sign: String) {
    var lines = (open + text).split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
    open = lines.popLast() ?? ""
    if open.utf8.count > Self.longestLine {
      lines.append(open)
      open = ""
    }
    for line in lines { Output.line("\(host) \(sign) \(escapedLine(line))") }
  }
}

/// One host of `agent exec --output json`.
struct AgentExecRow: Encodable {
  struct Failure: Encodable {
    var code: String
    var message: String
    var hint: String
  }

  var host: String
  /// Whether it ended with 0.
  var ok: Bool
  var door: String
  var exit: Int?
  var signal: String?
  var timeout: Bool?
  /// Why it was not run, or not to its end.
  var error: Failure?
  var stdout: String
  var stderr: String
  var truncated: Bool

  init(_ host: String, _ end: Result<AgentCommandEnd, DoorError>, _ said: SaidOutput.Kept, door: String) {
    self.host = host
    self.door = door
    ok = false
    stdout = said.output
    stderr = said.errors
    truncated = said.truncated
    switch end {
    case .success(.exit(let code)):
      exit = code
      ok = code == 0
    case .success(.signal(let name)): signal = name
    case .success(.timeout): timeout = true
    case .success(.refused(let code, let message, let hint)):
      error = Failure(code: code, message: message, hint: hint)
    case .failure(let failure):
      error = Failure(code: failure.kind.rawValue, message: failure.message, hint: failure.hint)
    }
  }

  var line: String {
    let how: String
    if let exit {
      how = "ended with \(exit)"
    } else if let signal {
      how = "was ended by \(escapedLine(signal))"
    } else if let error {
      how = escapedLine(error.hint.isEmpty ? error.message : "\(error.message); \(error.hint)")
    } else {
      how = "did not end in its time"
    }
    return "\(escapedLine(host))  \(how) [\(escapedLine(door))]"
  }
}
