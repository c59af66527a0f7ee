import Glibc

/// A system call that the loop needs has failed.
public struct EventLoopError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The call, as its manual page names it.
  public let call: String
  /// The error number that the call left.
  public let code: Int32

  /// An error from a call and its error number.
  public init(call: String, code: Int32) {
    self.call = call
    self.code = code
  }

  /// What failed, why, and what to do where that is known.
  public var description: String {
    let reason = "\(call): \(String(cString: strerror(code)))"
    switch code {
    case EMFILE, ENFILE: return reason + "; raise the limit of open files (ulimit -n)"
    case EPERM where call == "epoll_ctl": return reason + "; a regular file can't be watched"
    default: return reason
    }
  }
}
