import FoundationEssentials
import HTTPTypes
import RolloutModel

/// A request for a command, as its body has it.
struct CommandRequest: Decodable, Hashable, Sendable {
  let name: String
  let arguments: [String: String]?

  /// The longest value of an argument.
  private static let longest = 256

  init(name: String, arguments: [String: String]?) {
    self.name = name
    self.arguments = arguments
  }

  init(json: [UInt8]) throws(AgentError) {
    do { self = try JSONDecoder().decode(Self.self, from: Data(json)) } catch {
      throw .invalid(
        "the body is no request for a command", hint: #"send {"name": "NAME", "arguments": {"KEY": "TEXT"}}"#)
    }
  }

  /// The argument array that this asks for. Refused: names that are not on the list, arguments too many or too few, values that their
  /// pattern does not match as a whole.
  func argv(_ allowed: [String: AgentCommand]) throws(AgentError) -> (AgentCommand, [String]) {
    guard let command = allowed[name] else {
      throw AgentError(
        .forbidden, "command_not_allowed",
        "\(escapedForTerminal(name, limit: 60)) is none of this agent's commands",
        hint: allowed.isEmpty
          ? "the configuration lists none" : "use \(allowed.keys.sorted().joined(separator: ", "))")
    }
    let values = arguments ?? [:]
    for key in values.keys.sorted() where command.arguments[key] == nil {
      throw .invalid(
        "\(name) has no argument \(escapedForTerminal(key, limit: 60))",
        hint: command.arguments.isEmpty
          ? "send none" : "its arguments are \(command.arguments.keys.sorted().joined(separator: ", "))")
    }
    for (key, pattern) in command.arguments.sorted(by: { $0.key < $1.key }) {
      guard let value = values[key] else {
        throw .invalid("the argument \(key) is missing", hint: "send a text that matches \(pattern)")
      }
      guard Self.fits(value, pattern) else {
        throw AgentError(
          .forbidden, "argument_not_allowed",
          "the value \(escapedForTerminal(value, limit: 60)) of \(key) is not allowed",
          hint: "send a text of up to \(Self.longest) bytes that matches \(pattern) as a whole")
      }
    }
    var argv: [String] = []
    for argument in command.run {
      guard let filled = ArgumentTemplate.fill(argument, values) else {
        throw .invalid("an argument of \(name) has no value", hint: "correct the agent's configuration")
      }
      argv.append(filled)
    }
    return (command, argv)
  }

  private static func fits(_ value: String, _ pattern: String) -> Bool {
    guard value.utf8.count <= longest,
      !value.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) })
    else { return false }
    // A pattern that can't be compiled, which the configuration's check has excluded, lets nothing through.
    guard let regex = try? Regex(pattern), let match = try? regex.wholeMatch(in: value) else { return false }
    return !match.isEmpty || value.isEmpty
  }
}
