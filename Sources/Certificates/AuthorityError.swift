import Glibc
import RolloutModel

/// Why a certificate authority can't do what was asked.
public struct AuthorityError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure it is.
  public enum Kind: Hashable, Sendable {
    /// What was asked for can't be; nothing was changed.
    case refused
    /// What is in the folder is not what an authority left there.
    case damaged
    /// A file or folder can't be read or written.
    case unusable
  }

  /// What kind of failure it is.
  public let kind: Kind
  /// What failed, where and why; safe for a terminal.
  public let message: String
  /// What to do.
  public let hint: String

  /// An error from its parts; what comes from outside is escaped already.
  init(_ kind: Kind, _ message: String, hint: String) {
    self.kind = kind
    self.message = message
    self.hint = hint
  }

  /// Message and hint in one line.
  public var description: String { "\(message); \(hint)" }

  static func refused(_ message: String, hint: String) -> AuthorityError {
    AuthorityError(.refused, message, hint: hint)
  }

  static func damaged(_ message: String, hint: String) -> AuthorityError {
    AuthorityError(.damaged, message, hint: hint)
  }

  /// What the system said to something that was tried with a path.
  static func unusable(
    _ path: String, _ what: String, _ code: Int32,
    hint: String = "see to that folder's owner, its mode and the disk"
  ) -> AuthorityError {
    AuthorityError(
      .unusable, "\(escapedForTerminal(path)) \(what): \(String(cString: strerror(code)))", hint: hint)
  }

  /// What the libraries said to something that should always succeed.
  static func unsignable(_ what: String, _ error: any Error) -> AuthorityError {
    AuthorityError(
      .unusable, "\(what) can't be signed: \(escapedForTerminal("\(error)", limit: 200))",
      hint: "this is a fault of Switchyard: please report it")
  }

  /// Chance that repeats itself.
  static var withoutChance: AuthorityError {
    AuthorityError(
      .unusable, "this machine's random numbers repeat themselves",
      hint: "sign nothing here until that is mended")
  }

  /// The same failure, said of the file in which it was found.
  func found(in path: String) -> AuthorityError {
    AuthorityError(kind, "\(escapedForTerminal(path)): \(message)", hint: hint)
  }
}
