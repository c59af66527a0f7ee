import EventLoop
import Glibc
import NIOCore
import NIOPosix

/// Why there is no connection, in a person's words; not escaped.
func connectionWords(_ error: any Error) -> String {
  switch error {
  case is DeadlineExceeded: "nothing came in time"
  case let error as NIOConnectionError:
    error.connectionErrors.first.map { connectionWords($0.error) } ?? "its name has no address"
  case let error as IOError: String(cString: strerror(error.errnoCode))
  case ChannelError.connectTimeout: "no connection came about in time"
  case ChannelError.eof, ChannelError.ioOnClosedChannel: "the connection was closed"
  default: "\(error)"
  }
}
