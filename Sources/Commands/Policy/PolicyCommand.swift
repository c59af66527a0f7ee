import ArgumentParser
import MarkedYAML
import PolicyFiles
import RolloutModel

struct PolicyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "Check policies; print their schema.",
    subcommands: [PolicyCheckVerb.self, PolicySchemaVerb.self])
}

struct PolicyCheckVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Say everything that is wrong with policy files, with line and column.")

  @Argument(help: "Policy files.")
  var files: [String]

  func run() async throws {
    var problems: [String] = []
    for file in files {
      do throws(FileProblems) {
        let policy = try PolicyFile.load(path: file, playbooksMustExist: true)
        Output.line("\(file): policy \(policy.name), \(Words.count(policy.waves.count, "wave")): good")
      } catch {
        problems.append("\(error)")
      }
    }
    guard problems.isEmpty else { throw CommandError.invalid(problems.joined(separator: "\n")) }
  }
}

struct PolicySchemaVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schema", abstract: "Print the JSON Schema of a policy file.")

  func run() async throws { Output.line(PolicySchema.json) }
}
