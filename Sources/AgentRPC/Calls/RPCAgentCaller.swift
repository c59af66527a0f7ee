import EventLoop
import FoundationEssentials
import NIOCore
import NIOHTTP1
import Ports
import RolloutModel
import SSHTransport

/// Asks agents over RPC.
struct RPCAgentCaller: AgentCaller {
  let client: RPCClient
  /// Where files are read.
  let pool: BlockingPool

  func run(
    _ command: AgentCommandCall, on host: Host, within limit: Duration,
    tell: @escaping @Sendable (AgentCommandOutput) async -> Void
  ) async throws(DoorError) -> AgentCommandEnd {
    let place = client.place(host.address)
    let body: [UInt8]
    do { body = Array(try JSONEncoder().encode(command)) } catch {
      throw DoorError(.local, "the command can't be encoded: \(escapedForTerminal("\(error)"))")
    }
    let channel: ByteChannel
    do throws(RPCClient.Refusal) {
      channel = try await client.send(body, to: "/v1/commands", at: host.address)
    } catch {
      switch error {
      case .door(let error): throw error
      case .farSide(let status, let words): return try Self.refusal(status, words, place)
      }
    }
    defer { channel.close() }
    let end = HomeLoop.now + limit
    let loop = client.loop
    let outcome = try await CommandStream.follow(
      at: place,
      read: { () async throws(DoorError) in
        do {
          return try await withDeadline(end, on: loop) { try await channel.read() }
        } catch {
          let words =
            error is DeadlineExceeded ? "no end of the command in time" : escapedForTerminal("\(error)")
          throw DoorError(.lost, "\(place): \(words)")
        }
      }, tell: tell)
    guard case .end(let ended) = outcome else {
      throw DoorError(.lost, "\(place): the agent ended the answer before the command's end")
    }
    return ended
  }

  func upload(
    _ file: AgentUpload, to host: Host, progressWithin limit: Duration
  ) async throws(DoorError) -> AgentUploadEnd {
    let path = "/v1/uploads/\(file.digest.hex)"
    let (asked, looked) = try await client.begin(.GET, path, at: host.address)
    asked.finish()
    let place = client.place(host.address)
    let begun = try await answer(asked, looked, host.address, limit)
    guard case .standing(let have, let isComplete) = begun else { return try begun.refusal(place) }
    guard !isComplete else { return .here(sent: 0) }
    let source = try await UploadSource(file, on: pool)
    defer { source.close() }
    let (body, ended) = try await client.begin(
      .PUT, "\(path)?size=\(file.size)&offset=\(have)", at: host.address)
    let broken = await pour(source, from: have, to: file.size, into: body, within: limit)
    // An agent that refuses says so before it has read all, and then reads no more.
    let end: UploadAnswer
    do throws(DoorError) { end = try await answer(body, ended, host.address, limit) } catch {
      throw broken ?? error
    }
    guard case .standing(_, true) = end else { return try end.refusal(place) }
    return .here(sent: file.size - have)
  }

  /// Sends the file from a place on. Returns why it could not, where it could not.
  private func pour(
    _ source: UploadSource, from start: Int64, to end: Int64, into body: ByteChannel, within limit: Duration
  ) async -> DoorError? {
    var place = start
    do {
      while place < end {
        let bytes = try await source.piece(at: place)
        try await withDeadline(after: limit, on: client.loop) { try await body.write(bytes) }
        place += Int64(bytes.count)
      }
      body.finish()
      return nil
    } catch {
      return error as? DoorError
        ?? DoorError(.lost, "the file could not be sent: \(escapedForTerminal("\(error)"))")
    }
  }

  /// The whole of an answer, which is short.
  private func answer(
    _ channel: ByteChannel, _ answer: EventLoopFuture<DuplexRequest.Answer>, _ address: String,
    _ limit: Duration
  ) async throws(DoorError) -> UploadAnswer {
    defer { channel.close() }
    let reply: DuplexRequest.Answer
    var bytes: [UInt8] = []
    do {
      reply = try await withDeadline(after: limit, on: client.loop) { try await answer.get() }
      while reply.status == .ok, bytes.count < 65_536 {
        let more = try await withDeadline(after: limit, on: client.loop) { try await channel.read() }
        if more.isEmpty { break }
        bytes += more
      }
    } catch {
      // Nothing is carried out but what can be asked for again.
      throw client.unreachable(address, error)
    }
    if reply.isAboutUs { throw client.refusal(reply, "/v1/uploads", address) }
    return UploadAnswer(reply.status == .ok ? bytes : Array(reply.words.utf8))
  }

  func way(to host: Host) async -> String { "RPC, the agent at \(client.place(host.address))" }

  /// What an agent of ours says of a path that it does not have.
  private static let unknownPath = ["not_found", "method_not_allowed"]

  /// An answer that is an error.
  static func refusal(
    _ status: HTTPResponseStatus, _ words: String, _ place: String
  ) throws(DoorError) -> AgentCommandEnd {
    do {
      switch try CommandLines.read(Array(words.utf8)) {
      case .end(.refused(let code, let message, _)) where unknownPath.contains(code):
        throw DoorError(
          .unusable, "\(place): the agent knows no commands: \(escapedForTerminal(message))",
          hint: "upgrade it")
      case .end(let end): return end
      case .output: break
      }
    } catch let error as DoorError { throw error } catch {
      // Told below, with the words themselves.
    }
    // Others' words may come from behind a command that was run.
    throw DoorError(
      .lost,
      "\(place): whether the command was run is not known: \(status.code) \(escapedForTerminal(words))",
      hint: "something between here and the agent may have answered; see what the command has done")
  }
}
