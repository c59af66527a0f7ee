import ArgumentParser
import MarkedYAML
import RolloutModel

/// The names of verbs on a command line. ArgumentParser takes one that it doesn't know for an argument too many, and `help` passes
/// over it.
enum VerbNames {
  /// Refuses a word where a verb must stand and none has that name.
  static func check(_ words: [String]) throws(CommandError) {
    var command: any ParsableCommand.Type = Switchyard.self
    var path = ["switchyard"]
    for word in words.first == "help" ? words.dropFirst() : words[...] {
      let verbs = command.configuration.subcommands
      // Options come behind the verb; what is no verb's name there is for the parser to judge.
      guard !verbs.isEmpty, !word.hasPrefix("-"), word != "help" else { return }
      let names = verbs.compactMap { $0.configuration.commandName }
      guard let next = verbs.first(where: { $0.configuration.commandName == word }) else {
        throw CommandError.invalid(
          "`\(path.joined(separator: " "))` has no verb \(escapedForTerminal(word, limit: 60)); \(proposal(for: word, of: names))"
        )
      }
      command = next
      path.append(word)
    }
  }
}
