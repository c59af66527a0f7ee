import CSSH2
import Glibc

/// One channel of a session, with bounded buffers both ways. Lives on the loop, with its session.
final class Channel {
  /// How a program on the other side has ended.
  struct Exit: Hashable, Sendable {
    /// The exit status; for a signal what the server made of it.
    var status: Int
    /// The signal's name without `SIG`; nil where there was none.
    var signal: String?

    /// The program ended by itself, with status 0. libssh2 has 0 also for one that a signal ended.
    var isSuccess: Bool { status == 0 && signal == nil }
  }

  /// Reading pauses while so much has not been taken.
  static let inputLimit = 256 * 1024
  /// Writers wait while so much has not been sent.
  static let outputLimit = 256 * 1024
  /// So much of the end of the error output is kept.
  static let errorLimit = 8 * 1024

  private weak var session: Session?
  private let isProgram: Bool
  /// Nil once it has been freed.
  private var handle: OpaquePointer?
  private var output: [[UInt8]] = []
  private var outputOffset = 0
  private var mustFinish = false
  private var hasSentEnd = false
  private var isDiscarded = false
  private var input: [UInt8] = []
  private(set) var errorTail: [UInt8] = []
  /// No more input will come; what has come may still be taken.
  private(set) var hasEnded = false
  /// The other side has closed the channel: nothing that is sent would be heard.
  private(set) var isClosed = false
  /// How the program ended, once the channel is closed.
  private(set) var exit: Exit?
  /// What libssh2 said when this channel alone broke.
  private var breakage: String?
  /// Something has changed since the last `tell`.
  private(set) var hasNews = false
  /// Called on the loop whenever there is input, room for output, an end or a failure.
  var onNews: (() -> Void)?

  /// A channel that is open. `isProgram`: it has error output and an exit status.
  init(_ handle: OpaquePointer, of session: Session, isProgram: Bool) {
    self.handle = handle
    self.session = session
    self.isProgram = isProgram
  }

  // MARK: For the user of the channel

  /// Bytes offered and not yet sent.
  private(set) var pendingOutput = 0
  /// True while there is room for more output.
  var hasRoom: Bool { pendingOutput < Self.outputLimit }
  var hasInput: Bool { !input.isEmpty }
  /// Why nothing goes any more.
  var failure: SSHError.Reason? {
    guard let session, !isDiscarded else { return .closed }
    return session.failure ?? breakage.map { .lost($0) }
  }
  /// True when all that was offered has gone out, its end among it, or never will.
  var isFlushed: Bool { isClosed || hasSentEnd }

  /// All input that has come.
  func take() -> [UInt8] {
    let taken = input
    input = []
    if taken.count >= Self.inputLimit { session?.pump() }
    return taken
  }

  /// Sends `bytes` after what was offered before. `hasRoom` says when to wait first.
  func offer(_ bytes: [UInt8]) {
    guard !bytes.isEmpty, !mustFinish, !isClosed else { return }
    output.append(bytes)
    pendingOutput += bytes.count
    session?.pump()
  }

  /// Nothing more will be offered: the other side is told after the last byte.
  func finish() {
    mustFinish = true
    session?.pump()
  }

  /// Closes the channel, whatever is under way on it.
  func discard() {
    guard !isDiscarded else { return }
    isDiscarded = true
    session?.pump()
  }

  func tell() {
    hasNews = false
    onNews?()
  }

  // MARK: For the session

  var wantsToRead: Bool {
    isDiscarded || (hasEnded ? !isClosed : input.count < Self.inputLimit) || !output.isEmpty
  }

  /// To be called when the session ends: libssh2 frees the handle with it.
  func release() {
    handle = nil
    onNews = nil
  }

  /// Makes the calls that the channel's state asks for. True when one was completed.
  func advance(in session: Session) -> Bool {
    guard let handle else { return false }
    if isDiscarded { return free(handle, session) }
    var hasProgress = false
    if !output.isEmpty, write(handle, session) { hasProgress = true }
    if mustFinish, output.isEmpty, !hasSentEnd, sendEnd(handle, session) { hasProgress = true }
    if !hasEnded, input.count < Self.inputLimit {
      if read(handle, session, stream: 0) { hasProgress = true }
      if isProgram, read(handle, session, stream: SSH_EXTENDED_DATA_STDERR) { hasProgress = true }
      if libssh2_channel_eof(handle) == 1 {
        hasEnded = true
        hasNews = true
        hasProgress = true
      }
    }
    if hasEnded, !isClosed, awaitClose(handle, session) { hasProgress = true }
    return hasProgress
  }

  private func write(_ handle: OpaquePointer, _ session: Session) -> Bool {
    guard let first = output.first else { return false }
    let offset = outputOffset
    var sent = 0
    let isDone = session.attempt(
      Session.Call {
        // The array's storage stays where it is until it leaves `output`.
        first.withUnsafeBytes { bytes in
          libssh2_channel_write_ex(
            handle, 0, bytes.baseAddress?.advanced(by: offset).assumingMemoryBound(to: CChar.self),
            bytes.count - offset)
        }
      } finish: { [self] result in
        sent = result
        guard result > 0 else {
          if result < 0 { breakOff(session) }
          return
        }
        outputOffset += result
        pendingOutput -= result
        if outputOffset >= first.count {
          output.removeFirst()
          outputOffset = 0
        }
        hasNews = true
      })
    return isDone && sent > 0
  }

  private func sendEnd(_ handle: OpaquePointer, _ session: Session) -> Bool {
    session.attempt(
      Session.Call {
        Int(libssh2_channel_send_eof(handle))
      } finish: { [self] _ in
        hasSentEnd = true
        hasNews = true
      })
  }

  private func read(_ handle: OpaquePointer, _ session: Session, stream: Int32) -> Bool {
    var got = 0
    let isDone = session.attempt(
      Session.Call {
        session.readBuffer.withUnsafeMutableBytes { buffer in
          libssh2_channel_read_ex(
            handle, stream, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count)
        }
      } finish: { [self] result in
        got = result
        guard result > 0 else {
          if result < 0 { breakOff(session) }
          return
        }
        let bytes = session.readBuffer.prefix(result)
        if stream == 0 {
          input += bytes
        } else {
          errorTail = Array((errorTail + bytes).suffix(Self.errorLimit))
        }
        hasNews = true
      })
    return isDone && got > 0
  }

  private func awaitClose(_ handle: OpaquePointer, _ session: Session) -> Bool {
    session.attempt(
      Session.Call {
        Int(libssh2_channel_wait_closed(handle))
      } finish: { [self] result in
        isClosed = true
        dropOutput()
        // A program whose end was not heard has not ended well.
        if isProgram, result == 0, breakage == nil {
          exit = Exit(status: Int(libssh2_channel_get_exit_status(handle)), signal: signal(handle))
        }
        hasNews = true
      })
  }

  private func signal(_ handle: OpaquePointer) -> String? {
    var name: UnsafeMutablePointer<CChar>?
    libssh2_channel_get_exit_signal(handle, &name, nil, nil, nil, nil, nil)
    defer { Glibc.free(name) }
    return name.map { String(cString: $0) }
  }

  /// After an error of libssh2 about this channel alone.
  private func breakOff(_ session: Session) {
    if breakage == nil { breakage = session.lastError }
    hasEnded = true
    dropOutput()
    hasNews = true
  }

  private func dropOutput() {
    output = []
    outputOffset = 0
    pendingOutput = 0
  }

  private func free(_ handle: OpaquePointer, _ session: Session) -> Bool {
    session.attempt(
      Session.Call {
        Int(libssh2_channel_free(handle))
      } finish: { [self] _ in
        self.handle = nil
        session.remove(self)
      })
  }
}
