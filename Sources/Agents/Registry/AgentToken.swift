import Crypto
import FoundationEssentials
import RolloutModel

/// What agents ask controllers for beside a certificate: 32 random bytes as text, made when agents are registered. Only its digest
/// is kept; no message, log or dump shows it.
public struct AgentToken: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The token itself: 64 hexadecimal digits.
  public let text: String

  /// A new one.
  public init() {
    let bytes = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
    text = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// The token that somebody has; nil where the text can't be one.
  public init?(_ text: String) {
    guard text.utf8.count == 64, text.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
    else {
      return nil
    }
    self.text = text
  }

  /// What is kept of it.
  public var digest: RolloutModel.Digest? {
    RolloutModel.Digest(bytes: Array(SHA256.hash(data: Data(text.utf8))))
  }

  /// Whether this is the token whose digest was kept.
  public func isThat(of agent: RegisteredAgent) -> Bool { digest == agent.tokenDigest }

  /// Says only that there is something.
  public var description: String { "(token)" }
  /// Says only that there is something.
  public var debugDescription: String { description }
  /// Shows nothing of it.
  public var customMirror: Mirror { Mirror(self, children: []) }
}
