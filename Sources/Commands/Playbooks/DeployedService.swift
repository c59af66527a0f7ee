import ArgumentParser
import FoundationEssentials
import RolloutModel

/// A service that a playbook deploys.
enum DeployedService: String, ExpressibleByArgument, CaseIterable {
  case caddy, xray

  static let statusPlaybook = "service_status.yml"

  /// The playbook that deploys and removes it.
  var playbook: String { "deploy_\(rawValue).yml" }

  /// A variable of its role.
  func variable(_ name: String) -> String { "\(rawValue)_\(name)" }
}

/// Tasks of the services' roles, and of those that they use: which of them failed last says how a host was left.
enum ServiceTask {
  /// Those that only look and judge, before the service is touched.
  static let refusing: Set<String> = [
    "Ask for Python's version", "Check Python's version", "Check that the host can be prepared",
    "Check the archive's digest", "Check the release's values", "Check the values",
    "Check where packages come from", "Judge them before they are used", "Read the Caddyfile",
    "Read the archive's digest", "Read the configuration",
  ]
  /// How Ansible calls its own check of a role's values.
  private static let validating = "Validating arguments against arg spec"

  /// Whether a task refuses values before anything is changed.
  static func refuses(_ task: String) -> Bool { refusing.contains(task) || task.hasPrefix(validating) }

  /// The first task that needs the host: where it fails, the host was not so much as seen.
  static let seeing = "Look at the host"

  /// The new files did not work; the former ones are back and were seen to work, or there were none.
  static let restored = "Say what happened"
}

struct PlaybookLibraryOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The folder of Switchyard's playbooks (or SWITCHYARD_PLAYBOOKS); default: playbooks beside the program, or above it.",
      valueName: "DIR"))
  var playbooks: String?

  /// The folder. Errors: there is none.
  func folder() throws -> String {
    if let given = playbooks ?? ProcessInfo.processInfo.environment["SWITCHYARD_PLAYBOOKS"], !given.isEmpty {
      guard Self.isLibrary(given) else {
        throw CommandError.invalid(
          "\(escapedForTerminal(given)) has no \(DeployedService.statusPlaybook); name the folder of Switchyard's playbooks"
        )
      }
      return given
    }
    // A program whose own path can't be told has no folder beside it.
    var place = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    for _ in 0..<6 {
      guard let slash = place.lastIndex(of: "/") else { break }
      place = String(place[..<slash])
      for folder in ["\(place)/playbooks", "\(place)/share/switchyard/playbooks"] where Self.isLibrary(folder)
      {
        return folder
      }
    }
    throw CommandError.invalid(
      "Switchyard's playbooks are not beside this program; name their folder with --playbooks or SWITCHYARD_PLAYBOOKS"
    )
  }

  private static func isLibrary(_ folder: String) -> Bool {
    FileManager.default.isReadableFile(atPath: "\(folder)/\(DeployedService.statusPlaybook)")
  }
}
