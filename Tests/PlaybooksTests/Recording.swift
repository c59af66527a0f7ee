import FoundationEssentials
import RolloutModel

@testable import Playbooks
@testable import Ports

/// What Ansible's runner has said in real runs.
enum Recording {
  /// Three hosts over `run --json`: a and b are there, c is not.
  static var run: [UInt8] { get throws { try bytes("run.jsonl") } }
  /// One host over `worker`.
  static var worker: [UInt8] { get throws { try bytes("worker.jsonl") } }

  private static func bytes(_ name: String) throws -> [UInt8] {
    let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    return Array(try Data(contentsOf: URL(filePath: "/\(folder)/Recordings/\(name)")))
  }
}

/// Gathers what is told.
actor Told {
  private(set) var events: [PlaybookEvent] = []

  func add(_ event: PlaybookEvent) { events.append(event) }

  var results: [PlaybookTaskResult] {
    events.compactMap { if case .result(let result) = $0 { result } else { nil } }
  }

  func outcomes(_ host: String, _ task: String) -> [PlaybookTaskResult.Outcome] {
    results.filter { $0.host == host && $0.task.name == task }.map(\.outcome)
  }
}

extension LineReader {
  /// A reader that was given bytes, in pieces of some size.
  static func fed(
    _ bytes: [UInt8], hosts: [String], pieces: Int = 1000, isSecret: Bool = false, perHost: String? = nil
  ) async -> (reader: LineReader, told: Told) {
    let told = Told()
    let reader = LineReader(hosts: hosts, isSecret: isSecret, perHost: perHost) { await told.add($0) }
    var rest = bytes[...]
    while !rest.isEmpty {
      await reader.take(Array(rest.prefix(pieces)))
      rest = rest.dropFirst(pieces)
    }
    return (reader, told)
  }
}

let overSSH = PlaybookDoorChoice(.ssh, why: "as asked")
