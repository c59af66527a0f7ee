import EventLoop
import HostProtocol
import Ports
import RolloutModel

/// The conversation with a host program that has been started: frames out, frames in.
package actor Conversation {
  package nonisolated let stream: any HostStream
  package nonisolated var unownedExecutor: UnownedSerialExecutor { stream.executor }
  private var frames = FrameReader()

  package init(_ stream: any HostStream) { self.stream = stream }

  /// Why a conversation has ended.
  package enum Failure: Error {
    /// The stream has failed.
    case stream(StreamFailure)
    /// The program has ended, or says nothing more.
    case ended
    /// What it said is no reply.
    case garbled(String)
  }

  /// True while the program is there to be asked, as far as can be seen from here.
  package func canGoOn() async -> Bool { await stream.isOpen }

  /// Both sides say which version they speak; it must be the same.
  package func greet(within limit: Duration) async throws(Failure) {
    switch try await exchange(.hello(version: hostProtocolVersion), within: limit) {
    case .hello(let hello) where hello.version == hostProtocolVersion: return
    case .failed(let failure): throw .garbled("it refuses the conversation: \(failure)")
    default: throw .garbled("it does not answer the greeting of version \(hostProtocolVersion)")
    }
  }

  /// Sends a request and awaits its reply. After an error the conversation can't be gone on with.
  package func exchange(_ request: HostRequest, within limit: Duration) async throws(Failure) -> HostReply {
    try await send(.request(request), within: limit)
    return try await reply(within: limit)
  }

  /// Sends a frame; returns when there is room for the next.
  package func send(_ frame: Frame, within limit: Duration) async throws(Failure) {
    let bytes: [UInt8]
    do { bytes = try frame.encoded() } catch { throw .garbled("\(error)") }
    do { try await stream.write(bytes, within: limit) } catch { throw .stream(error) }
  }

  private func reply(within limit: Duration) async throws(Failure) -> HostReply {
    let deadline = EventLoop.now + limit
    while true {
      if let frame = try nextFrame() {
        guard case .reply(let reply) = frame else { throw .garbled("a frame that is no reply") }
        return reply
      }
      let bytes: [UInt8]
      do { bytes = try await stream.read(within: deadline - EventLoop.now) } catch { throw .stream(error) }
      guard !bytes.isEmpty else { throw .ended }
      frames.push(bytes)
    }
  }

  private func nextFrame() throws(Failure) -> Frame? {
    do throws(FrameError) { return try frames.next() } catch { throw .garbled("\(error)") }
  }

  /// Ends the program's input, which ends the program; what it still says is not waited for.
  package func end() async { await stream.end() }

  /// The error for a failure in which the host may have heard what was asked.
  package func doorError(_ failure: Failure, within limit: Duration) async -> DoorError {
    switch failure {
    case .stream(let failure): return failure.error
    case .garbled(let why):
      return DoorError(
        .garbled, "\(stream.place): the host program's answer can't be read: \(escapedForTerminal(why))")
    case .ended:
      do throws(StreamFailure) {
        let words = try await stream.lastWords(within: limit)
        return DoorError(.lost, "\(stream.place): the host program ended: \(escapedForTerminal(words.text))")
      } catch {
        return error.error
      }
    }
  }
}
