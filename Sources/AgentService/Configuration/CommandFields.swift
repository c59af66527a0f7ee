import MarkedYAML
import RolloutModel

/// Reads the `commands` of a configuration.
enum CommandFields {
  private static let timeout = Span.seconds(30)

  static func read(_ node: MarkedNode, _ diagnostics: Diagnostics) -> [String: AgentCommand] {
    guard let entries = node.entries else {
      diagnostics.report(
        node.place, "commands must be a mapping, not \(node.found)", "write NAME: {run: [/PROGRAM]}")
      return [:]
    }
    var commands: [String: AgentCommand] = [:]
    for entry in entries {
      guard isName(entry.key) else {
        diagnostics.report(
          entry.keyPlace, "\(quoted(entry.key)) is no command's name",
          "begin with a to z, and go on with up to 40 of a to z, 0 to 9, - and _")
        continue
      }
      if let command = command(entry.value, entry.key, diagnostics) { commands[entry.key] = command }
    }
    return commands
  }

  /// Whether a text may name a command or an argument.
  static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first),
      text.utf8.count <= 41
    else { return false }
    return text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
        UInt8(ascii: "_"):
        true
      default: false
      }
    }
  }

  private static func command(
    _ node: MarkedNode, _ name: String, _ diagnostics: Diagnostics
  ) -> AgentCommand? {
    guard
      let file = MappingReader(
        node, "the command \(name)", keys: ["run", "arguments", "timeout"], diagnostics)
    else { return nil }
    let run = file.required("run", "[/PROGRAM, ARGUMENT]").flatMap { node in
      file.list(node, "run", 1...64) { file.text($0, "an argument", upTo: 4096) }
    }
    let timeout = file.value("timeout", otherwise: Self.timeout) {
      file.span($0, "timeout", Span(milliseconds: 100) ... .seconds(600))
    }
    let patterns = file.value("arguments", otherwise: [:]) { Self.patterns($0, diagnostics) } ?? [:]
    guard let run, let program = run.first, let runNode = file.node["run"], let timeout else { return nil }
    guard program.hasPrefix("/"), !program.contains("{{") else {
      diagnostics.report(
        runNode.place, "\(name) runs \(quoted(program))", "begin with the program's absolute path")
      return nil
    }
    check(run, runNode.place, patterns, file.node["arguments"], name, diagnostics)
    return AgentCommand(run: run, arguments: patterns, timeout: timeout)
  }

  private static func patterns(_ node: MarkedNode, _ diagnostics: Diagnostics) -> [String: String] {
    guard let entries = node.entries else {
      diagnostics.report(
        node.place, "arguments must be a mapping, not \(node.found)", "write NAME: \"PATTERN\"")
      return [:]
    }
    var patterns: [String: String] = [:]
    for entry in entries {
      guard isName(entry.key) else {
        diagnostics.report(
          entry.keyPlace, "\(quoted(entry.key)) is no argument's name",
          "begin with a to z, and go on with up to 40 of a to z, 0 to 9, - and _")
        continue
      }
      guard let text = entry.value.text, (1...1000).contains(text.utf8.count) else {
        diagnostics.report(
          entry.value.place, "the pattern of \(entry.key) is \(entry.value.found)",
          "write a regular expression of 1 to 1000 bytes, in quotes")
        continue
      }
      do { _ = try Regex(text) } catch {
        diagnostics.report(
          entry.value.place, "\(quoted(text)) is no regular expression: \(printable("\(error)"))",
          "correct it; in double quotes a backslash is written twice")
        continue
      }
      patterns[entry.key] = text
    }
    return patterns
  }

  /// Each placeholder has its pattern, and each pattern its placeholder.
  private static func check(
    _ run: [String], _ place: Place, _ patterns: [String: String], _ arguments: MarkedNode?, _ name: String,
    _ diagnostics: Diagnostics
  ) {
    var used: Set<String> = []
    for argument in run {
      guard let pieces = ArgumentTemplate.pieces(of: argument) else {
        diagnostics.report(
          place, "a placeholder in \(quoted(argument)) is not whole", "write it as {{ name }}")
        continue
      }
      for case .value(let value) in pieces {
        used.insert(value)
        if patterns[value] == nil {
          diagnostics.report(
            place, "\(name) has no pattern for {{ \(printable(value)) }}",
            patterns.isEmpty
              ? "add arguments: {\(printable(value)): \"PATTERN\"}"
              : proposal(for: value, of: patterns.keys.sorted(), as: "use"))
        }
      }
    }
    for entry in arguments?.entries ?? [] where patterns[entry.key] != nil && !used.contains(entry.key) {
      diagnostics.report(
        entry.keyPlace, "no argument of \(name) uses \(entry.key)",
        "write {{ \(entry.key) }} in run, or remove it")
    }
  }
}
