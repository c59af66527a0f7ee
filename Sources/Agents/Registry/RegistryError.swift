import Glibc
import RolloutModel

/// Why the registry can't do what was asked.
public struct RegistryError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure it is.
  public enum Kind: Hashable, Sendable {
    /// What was asked for can't be; nothing was changed.
    case refused
    /// What is in the file is no registry.
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

  init(_ kind: Kind, _ message: String, hint: String) {
    self.kind = kind
    self.message = escapedForTerminal(message, limit: 1000)
    self.hint = hint
  }

  /// Message and hint in one line.
  public var description: String { "\(message); \(hint)" }

  /// What the system said to something that was tried with a path.
  static func unusable(_ path: String, _ what: String, _ code: Int32) -> RegistryError {
    RegistryError(
      .unusable, "\(path) \(what): \(String(cString: strerror(code)))",
      hint: "see to that folder's owner, its mode and the disk")
  }
}
