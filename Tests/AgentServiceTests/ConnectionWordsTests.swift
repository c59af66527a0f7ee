import EventLoop
import Glibc
import NIOCore
import Testing

@testable import AgentRPC

@Suite("Why there is no connection to an agent")
struct ConnectionWordsTests {
  @Test("It is said in the system's words, not in a library's")
  func words() {
    #expect(connectionWords(IOError(errnoCode: ECONNREFUSED, reason: "connect")) == "Connection refused")
    #expect(connectionWords(ChannelError.connectTimeout(.seconds(3))) == "no connection came about in time")
    #expect(connectionWords(ChannelError.eof) == "the connection was closed")
    #expect(connectionWords(DeadlineExceeded()) == "nothing came in time")
  }
}
