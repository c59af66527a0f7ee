import CSystemd
import Glibc

/// Why systemd did not do or say what it was asked.
public struct BusError: Error, Hashable, Sendable {
  /// What kind, for decisions.
  public enum Kind: Hashable, Sendable {
    /// No answer within the time given.
    case timedOut
    /// The bus or systemd can't be reached.
    case disconnected
    /// This process may not ask for that.
    case denied
    /// systemd knows no such unit.
    case noSuchUnit
    /// A unit of that name is loaded already.
    case unitExists
    /// Anything else.
    case other
  }

  /// What kind.
  public var kind: Kind
  /// What was being done, and why it failed, as systemd says it; not escaped.
  public var message: String

  init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// The failure of a call of libsystemd that returned a negative error number.
  init(_ what: String, code: Int32) {
    self.init(Self.kind(of: -code), "\(what): \(Self.text(of: -code))")
  }

  /// The failure of a method call; `error` is what systemd answered, where it did.
  init(_ what: String, code: Int32, error: sd_bus_error) {
    guard let name = error.name.map({ String(cString: $0) }) else {
      self.init(what, code: code)
      return
    }
    let kind: Kind =
      switch name {
      case "org.freedesktop.systemd1.NoSuchUnit": .noSuchUnit
      case "org.freedesktop.systemd1.UnitExists": .unitExists
      case "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
        .denied
      case "org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Timeout": .timedOut
      case "org.freedesktop.DBus.Error.Disconnected": .disconnected
      default: Self.kind(of: -code)
      }
    self.init(kind, "\(what): \(error.message.map { String(cString: $0) } ?? name)")
  }

  private static func kind(of error: Int32) -> Kind {
    switch error {
    case ETIMEDOUT: .timedOut
    case ENOTCONN, ECONNRESET, ECONNREFUSED, EPIPE, ESHUTDOWN, ENOENT: .disconnected
    case EACCES, EPERM: .denied
    default: .other
    }
  }

  private static func text(of error: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard strerror_r(error, &buffer, buffer.count) == 0 else { return "error \(error)" }
    return String(decoding: buffer.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
