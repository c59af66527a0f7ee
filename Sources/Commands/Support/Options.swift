import ArgumentParser
import CoreFoundation
import FoundationEssentials
import Glibc
import JournalStore
import RolloutModel

/// How output is written.
enum OutputFormat: String, ExpressibleByArgument {
  case text, json
}

struct OutputOptions: ParsableArguments {
  @Option(help: "How output is written: text or json.")
  var output: OutputFormat = .text

  var isJSON: Bool { output == .json }
}

struct StateOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the journal is (or SWITCHYARD_STATE); default /var/lib/switchyard for root, else $XDG_STATE_HOME/switchyard.",
      valueName: "DIR"))
  var state: String?

  /// The folder of the journal.
  var directory: String {
    let environment = ProcessInfo.processInfo.environment
    if let state { return state }
    if let given = environment["SWITCHYARD_STATE"], !given.isEmpty { return given }
    if geteuid() == 0 { return "/var/lib/switchyard" }
    if let base = environment["XDG_STATE_HOME"], base.hasPrefix("/") { return base + "/switchyard" }
    return (environment["HOME"] ?? "/") + "/.local/state/switchyard"
  }

  /// The folder of the journal, which is there or can be made. Errors: a name that can't be a folder's, before anything is
  /// made.
  func checked() throws -> String {
    let directory = directory
    // An unset variable of a script must not lead to another journal.
    guard !directory.isEmpty else {
      throw CommandError.invalid("--state is empty; name a folder, or leave it out for the default")
    }
    // What is not there yet is made: its names are checked here, as nobody has looked at them.
    guard directory.split(separator: "/").allSatisfy({ $0.utf8.count <= 255 }) else {
      throw CommandError.invalid(
        "--state \(escapedForTerminal(directory)): a name of more than 255 bytes; name a folder with a shorter path"
      )
    }
    var path = directory
    var about = stat()
    while stat(path, &about) != 0 {
      guard errno == ENOENT, let parent = Self.parent(of: path) else {
        throw CommandError.invalid(
          "--state \(escapedForTerminal(directory)): \(String(cString: strerror(errno))); name a folder that is there or can be made"
        )
      }
      path = parent
    }
    guard about.st_mode & S_IFMT == S_IFDIR else {
      throw CommandError.invalid(
        "--state \(escapedForTerminal(directory)): \(escapedForTerminal(path)) is no folder; name one that is there or can be made"
      )
    }
    return directory
  }

  /// The folder that a path lies in; nil for a root.
  private static func parent(of path: String) -> String? {
    let trimmed = path.hasSuffix("/") ? String(path.dropLast()) : path
    guard !trimmed.isEmpty, trimmed != "." else { return nil }
    guard let slash = trimmed.lastIndex(of: "/") else { return "." }
    return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
  }
}

struct ReasonOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Why; kept in the journal, or by the host where there is none.", valueName: "TEXT"))
  var reason: String = ""
}

struct InventoryOptions: ParsableArguments {
  @Option(help: ArgumentHelp("An Ansible inventory.", valueName: "FILE"))
  var inventory: String

  @Option(help: ArgumentHelp("Only these hosts: an Ansible pattern.", valueName: "PATTERN"))
  var limit: String?
}

/// Who runs the program, for leases and the journal.
enum Person {
  static var name: String {
    let environment = ProcessInfo.processInfo.environment
    let user = environment["SUDO_USER"] ?? environment["USER"] ?? LockHolder.current(wall: 0).user
    return "\(user)@\(ProcessInfo.processInfo.hostName)"
  }
}
