import Ports

/// Bytes to and from a host program that serves, whatever the door.
package protocol HostStream: Sendable {
  /// Where the work on it is best done.
  var executor: UnownedSerialExecutor { get }
  /// Where it leads, for messages.
  var place: String { get }

  /// Sends; returns once there is room for more.
  func write(_ bytes: [UInt8], within limit: Duration) async throws(StreamFailure)

  /// The next bytes; none at the end.
  func read(within limit: Duration) async throws(StreamFailure) -> [UInt8]

  /// Whether the program is there to be asked, as far as can be seen from here.
  var isOpen: Bool { get async }

  /// After the end of the program's output: how it ended.
  func lastWords(within limit: Duration) async throws(StreamFailure) -> LastWords

  /// Ends the program's input alone: what it says then is still read.
  func finishInput() async throws(StreamFailure)

  /// Ends the program's input, which ends the program; what it still says is not waited for.
  func end() async
}

/// How a program at the other end of a stream has ended.
package struct LastWords: Hashable, Sendable {
  /// What it said of that, to be escaped.
  package var text: String
  /// Its exit status; nil where a signal ended it, and where the door does not tell.
  package var status: Int?

  /// Last words from their parts.
  package init(text: String, status: Int? = nil) {
    self.text = text
    self.status = status
  }
}

/// Why a stream gives nothing.
package enum StreamFailure: Error {
  /// Nothing came, or could be sent, within the time: the error for that.
  case late(DoorError)
  /// It has failed.
  case lost(DoorError)

  /// The error, to whom it doesn't matter.
  package var error: DoorError {
    switch self {
    case .late(let error), .lost(let error): error
    }
  }
}

extension DoorError {
  /// The same where the host can't have heard anything yet.
  package var beforeAsking: DoorError {
    kind == .lost ? DoorError(.unreachable, message, hint: hint) : self
  }
}
