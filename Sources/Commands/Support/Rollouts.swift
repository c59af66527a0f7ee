import Controller
import ControllerMachine
import JournalStore
import Ports
import RolloutEngine
import RolloutModel

/// Rollouts in the journal.
struct Rollouts {
  let store: JournalStore
  let directory: String

  /// For verbs that change something.
  static func open(_ state: StateOptions) throws -> Rollouts {
    let directory = try state.checked()
    return Rollouts(store: try JournalStore(directory: directory), directory: directory)
  }

  /// For verbs that are about a rollout that is there. Without a journal nothing is made.
  static func read(_ state: StateOptions) throws -> Rollouts {
    let directory = try present(state)
    return Rollouts(store: try JournalStore(reading: directory), directory: directory)
  }

  /// For verbs that change a rollout that is there. Without a journal nothing is made.
  static func change(_ state: StateOptions) throws -> Rollouts {
    _ = try present(state)
    return try open(state)
  }

  private static func present(_ state: StateOptions) throws -> String {
    let directory = try state.checked()
    guard try JournalStore.isPresent(in: directory) else {
      throw CommandError.invalid(
        "there is no journal in \(escapedForTerminal(directory)); start a rollout first, or name the right folder with --state"
      )
    }
    return directory
  }

  /// Refuses a folder in which a rollout could not be reached from other terminals, before the rollout is in its journal.
  static func checkRoom(for id: String, in directory: String) throws {
    guard let longest = ControlSocket.tooLong(controlSocket(id, in: directory)) else { return }
    throw CommandError.invalid(
      "--state \(escapedForTerminal(directory)): the rollout's socket there would have a path of more than \(longest) bytes; name a folder with a shorter path"
    )
  }

  /// The rollout that a person means: the one named, or the newest.
  func find(_ id: String?) async throws -> RolloutSummary {
    let found = try await store.rollouts(id.map(RolloutSelection.named) ?? .newest)
    if let found = found.first { return found }
    throw unknown(id)
  }

  /// What is in the journal's file, damaged or not, of a rollout that is there, or of all.
  func inspect(
    _ selection: RolloutSelection, checkingFile: Bool = false
  ) async throws -> JournalInspection {
    let found = try await store.inspect(selection, checkingFile: checkingFile)
    guard found.rollouts.isEmpty, found.damage.isEmpty else { return found }
    switch selection {
    case .all: return found
    case .newest: throw unknown(nil)
    case .named(let id): throw unknown(id)
    }
  }

  private func unknown(_ id: String?) -> CommandError {
    CommandError.invalid(
      id.map {
        "no rollout \(escapedForTerminal($0)) in \(escapedForTerminal(directory)); `switchyard rollout list` shows those there are"
      }
        ?? "there is no rollout in \(escapedForTerminal(directory)); begin one with `switchyard rollout start`"
    )
  }

  /// The rollout's engine as its journal left it, and whether it has started.
  func replay(_ id: String) async throws -> (engine: RolloutEngine, hasStarted: Bool) {
    let follower = RolloutFollower(self, id)
    let engine = try await follower.advance()
    return (engine, await follower.hasStarted)
  }

  /// Where the controller of a rollout listens.
  func controlSocket(_ id: String) -> String { Self.controlSocket(id, in: directory) }

  private static func controlSocket(_ id: String, in directory: String) -> String {
    "\(directory)/rollouts/\(id).sock"
  }

  /// Whether a controller is at work, and whose.
  func holder(_ id: String) throws -> LockHolder? { try RolloutLock.holder(of: id, directory: directory) }
}
