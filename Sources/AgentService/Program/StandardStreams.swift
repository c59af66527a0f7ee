import Glibc
import NIOPosix

/// Standard input and output of a program that is asked for one thing. Blocking, off the cooperative pool.
enum StandardStreams {
  /// How long a piece of the input may take.
  private static let patience: Int32 = 60_000

  /// The next bytes of the input; none at its end.
  static func read() async throws -> [UInt8] {
    try await NIOThreadPool.singleton.runIfActive {
      while true {
        var wait = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        let ready = poll(&wait, 1, patience)
        if ready < 0, errno == EINTR { continue }
        guard ready > 0 else {
          throw AgentError.invalid("nothing came on standard input", hint: "send it to its end")
        }
        var buffer = [UInt8](repeating: 0, count: 256 * 1024)
        let count = Glibc.read(0, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else {
          throw AgentError.invalid("standard input can't be read", hint: "send it to its end")
        }
        return Array(buffer.prefix(count))
      }
    }
  }

  /// Prints a line; false where nobody listens any more.
  static func print(_ line: JSON) async -> Bool {
    let bytes = line.bytes + [UInt8(ascii: "\n")]
    let isTold = try? await NIOThreadPool.singleton.runIfActive {
      var done = 0
      while done < bytes.count {
        let count = bytes.withUnsafeBytes { write(1, $0.baseAddress.map { $0 + done }, $0.count - done) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        done += count
      }
      return true
    }
    // A pool that is gone means the end of the program.
    return isTold ?? false
  }
}
