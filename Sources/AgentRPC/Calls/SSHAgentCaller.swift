import EventLoop
import FoundationEssentials
import HostProtocol
import Ports
import RolloutModel
import SSHTransport

/// Asks over SSH, where the installed agent's own program is run for it, as the agent's user: it reads the same configuration, and
/// says the same lines.
public struct SSHAgentCaller: AgentCaller {
  private let door: SSHDoor
  private let agent: AgentDefinition

  private static let callWithin = Duration.seconds(30)

  /// A caller of this agent.
  public init(door: SSHDoor, agent: AgentDefinition) {
    self.door = door
    self.agent = agent
  }

  /// Runs it.
  public func run(
    _ command: AgentCommandCall, on host: Host, within limit: Duration,
    tell: @escaping @Sendable (AgentCommandOutput) async -> Void
  ) async throws(DoorError) -> AgentCommandEnd {
    let body: [UInt8]
    do { body = Array(try JSONEncoder().encode(command)) } catch {
      throw DoorError(.local, "the command can't be encoded: \(escapedForTerminal("\(error)"))")
    }
    let program = try await installed(on: host)
    let stream = try await door.start([program, "--run"], on: host, as: agent.user)
    defer { Task { await stream.end() } }
    let end = HomeLoop.now + limit
    do throws(StreamFailure) {
      try await stream.write(body, within: Self.callWithin)
      try await stream.finishInput()
    } catch {
      throw error.error
    }
    let outcome = try await CommandStream.follow(
      at: stream.place,
      read: { () async throws(DoorError) in
        do throws(StreamFailure) { return try await stream.read(within: end - HomeLoop.now) } catch {
          throw error.error
        }
      }, tell: tell)
    if case .end(let ended) = outcome { return ended }
    let words: LastWords
    do throws(StreamFailure) { words = try await stream.lastWords(within: Self.callWithin) } catch {
      throw error.error
    }
    throw ProgramEnd(words: words, isBegun: outcome == .brokenOff).error(
      at: stream.place, what: "the command", unknown: "commands")
  }

  /// Brings the file.
  public func upload(
    _ file: AgentUpload, to host: Host, progressWithin limit: Duration
  ) async throws(DoorError) -> AgentUploadEnd {
    let program = try await installed(on: host)
    let stream = try await door.start(
      [program, "--upload", file.digest.hex, String(file.size)], on: host, as: agent.user)
    defer { Task { await stream.end() } }
    var answers = UploadAnswers(stream: stream, within: limit)
    let begun = try await answers.next()
    guard case .standing(let have, let isComplete) = begun else { return try begun.refusal(stream.place) }
    guard !isComplete else { return .here(sent: 0) }
    let source = try await UploadSource(file, on: door)
    defer { source.close() }
    var place = have
    while place < file.size {
      let bytes = try await source.piece(at: place)
      do throws(StreamFailure) { try await stream.write(bytes, within: limit) } catch { throw error.error }
      place += Int64(bytes.count)
    }
    do throws(StreamFailure) { try await stream.finishInput() } catch { throw error.error }
    let ended = try await answers.next()
    guard case .standing(_, true) = ended else { return try ended.refusal(stream.place) }
    return .here(sent: file.size - have)
  }

  /// SSH.
  public func way(to host: Host) async -> String { "SSH" }

  /// The program of the release that has the agent's traffic, whether its unit runs or not.
  private func installed(on host: Host) async throws(DoorError) -> String {
    switch try await door.channel(to: host).call(.observe(agent.name), within: Self.callWithin) {
    case .status(let status):
      guard let slot = status.owner?.slot else {
        throw DoorError(
          .unusable, "\(host.name): no agent is installed",
          hint: "install one with `switchyard agent install`")
      }
      return "/opt/switchyard/\(agent.name)/\(slot.rawValue)/\(agent.exec)"
    case .failed(let failure):
      throw DoorError(.unusable, "\(host.name): \(failure.message)", hint: failure.hint)
    default: throw DoorError(.garbled, "\(host.name): another answer came than was asked for")
    }
  }
}
