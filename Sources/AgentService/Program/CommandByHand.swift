import Glibc
import HTTPTypes
import MarkedYAML
import NIOPosix
import RolloutModel

/// A command of the configuration's list that is run without the server: for whoever came to the host by another way, as the
/// agent's user. The request is read from standard input, and what is answered is printed, each as `POST /v1/commands` has it.
struct CommandByHand: Sendable {
  let configuration: AgentConfiguration
  let limits: Limits

  /// How long the request may take to arrive.
  private static let patience: Int32 = 30_000

  /// Runs what standard input asks for.
  func run() async -> AgentProgram.Exit {
    let run: CommandRun
    do {
      let limit = limits.body
      let body = try await NIOThreadPool.singleton.runIfActive { try Self.input(upTo: limit) }
      let (command, argv) = try CommandRequest(json: body).argv(configuration.commands)
      run = CommandRun(argv: argv, timeout: command.timeout, limit: limits.output)
    } catch let error as AgentError {
      return await tell(error.body) ? .invalid : .failed
    } catch {
      return .failed
    }
    return await told(run)
  }

  /// Passes on what the command says. Where nobody listens any more, it is killed.
  private func told(_ run: CommandRun) async -> AgentProgram.Exit {
    let (lines, tell) = AsyncStream<JSON>.makeStream()
    let work = Task {
      defer { tell.finish() }
      return try await run.end(tell)
    }
    for await line in lines {
      guard await self.tell(line) else {
        work.cancel()
        break
      }
    }
    switch await work.result {
    case .success(let end): return await self.tell(end) ? .done : .failed
    case .failure: return .failed
    }
  }

  private func tell(_ line: JSON) async -> Bool {
    let bytes = line.bytes + [UInt8(ascii: "\n")]
    let isTold = try? await NIOThreadPool.singleton.runIfActive { Self.print(bytes) }
    // A pool that is gone means the end of the program.
    return isTold ?? false
  }

  private static func print(_ bytes: [UInt8]) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { write(1, $0.baseAddress.map { $0 + done }, $0.count - done) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }

  /// All of standard input, which is short.
  private static func input(upTo limit: Int) throws(AgentError) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
      var wait = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
      let ready = poll(&wait, 1, patience)
      if ready < 0, errno == EINTR { continue }
      guard ready > 0 else {
        throw .invalid("no request came", hint: "send it on standard input, to its end")
      }
      let count = read(0, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .invalid("the request can't be read", hint: "send it on standard input") }
      if count == 0 { return bytes }
      bytes += buffer.prefix(count)
      guard bytes.count <= limit else {
        throw AgentError(
          .contentTooLarge, "too_large", "the request has more than \(limit) bytes",
          hint: "send a shorter one")
      }
    }
  }
}
