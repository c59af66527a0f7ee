import FoundationEssentials
import Ports
import RolloutModel
import Subprocess
import SystemPackage

/// One run of a program of this machine, with an argument array and no input. A cancelled task ends it with its group.
struct Tool: Sendable {
  /// How it ended.
  struct End: Sendable {
    /// Whether its exit status was 0.
    var isGood: Bool
    /// The last bytes that it complained.
    var complaints: String
  }

  let program: String
  let arguments: [String]
  /// Added to this program's own environment.
  let environment: [String: String]
  let folder: String

  private static let complaintLimit = 64 * 1024

  /// Runs it to its end, and hands what it writes to `take`, which is waited for.
  func run(_ take: @escaping @Sendable ([UInt8]) async throws -> Void) async throws -> End {
    var options = PlatformOptions()
    options.processGroupID = 0
    options.teardownSequence = [.send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .zero)]
    let variables = Dictionary(
      uniqueKeysWithValues: environment.map {
        (Subprocess.Environment.Key(stringLiteral: $0.key), Optional($0.value))
      })
    let result = try await Subprocess.run(
      .path(FilePath(program)), arguments: Arguments(arguments), environment: .inherit.updating(variables),
      workingDirectory: FilePath(folder), platformOptions: options, input: .none, output: .sequence,
      error: .sequence
    ) { execution in
      try await withThrowingTaskGroup(of: [UInt8].self) { readers in
        readers.addTask {
          for try await buffer in execution.standardOutput {
            try await take(buffer.withUnsafeBytes { Array($0) })
          }
          return []
        }
        readers.addTask {
          var last: [UInt8] = []
          for try await buffer in execution.standardError {
            last += buffer.withUnsafeBytes { Array($0) }
            if last.count > Self.complaintLimit { last.removeFirst(last.count - Self.complaintLimit) }
          }
          return last
        }
        var complaints: [UInt8] = []
        for try await part in readers { complaints += part }
        return complaints
      }
    }
    return End(
      isGood: result.terminationStatus.isSuccess,
      complaints: String(decoding: result.closureResult, as: UTF8.self))
  }

  /// Runs it to its end, and gives back what it wrote. Errors: it can't be run, is late, or writes too much.
  func output(upTo limit: Int, within time: Duration) async throws(PlaybookError) -> (
    end: End, bytes: [UInt8]
  ) {
    let name = escapedForTerminal(program)
    let collected = Collected()
    do {
      let end = try await within(time) {
        try await run { bytes in
          guard await collected.add(bytes, upTo: limit) else { throw TooMuch() }
        }
      }
      return (end, await collected.bytes)
    } catch is Late {
      throw PlaybookError(.tool, "\(name) did not end within \(time)", hint: "run it by hand to see why")
    } catch is TooMuch {
      throw PlaybookError(.tool, "\(name) wrote more than \(limit) bytes", hint: "run it by hand to see why")
    } catch {
      throw PlaybookError(
        .tool, "\(name) can't be run: \(escapedForTerminal("\(error)"))", hint: AnsibleTools.advice)
    }
  }

  private struct TooMuch: Error {}

  private actor Collected {
    private(set) var bytes: [UInt8] = []

    func add(_ piece: [UInt8], upTo limit: Int) -> Bool {
      bytes += piece
      return bytes.count <= limit
    }
  }
}
