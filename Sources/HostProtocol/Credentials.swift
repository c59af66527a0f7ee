import RolloutModel

/// The files by which Switchyard's own agent shows who it is and knows whom it serves. On a host they have fixed names in one
/// fixed folder: nothing that is sent names a path.
public struct CredentialFiles: Hashable, Sendable, Codable {
  /// The agent's certificate, with those between it and the authority; PEM.
  public var certificate: String
  /// That certificate's key; PEM, without a passphrase.
  public var key: Secret
  /// The authority that clients' certificates must be from; PEM.
  public var authority: String
  /// That authority's revocation list; PEM.
  public var revoked: String

  /// Files from their contents.
  public init(certificate: String, key: Secret, authority: String, revoked: String) {
    self.certificate = certificate
    self.key = key
    self.authority = authority
    self.revoked = revoked
  }

  /// The most bytes of a certificate's, a key's or an authority's file.
  public static let smallLimit = 64 * 1024
  /// The most bytes of a revocation list: all files together fit in one frame.
  public static let listLimit = 512 * 1024
}

/// Text that no message, log or dump shows.
public struct Secret: Hashable, Sendable, Codable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  /// The text itself.
  public let text: String

  /// A secret of this text.
  public init(_ text: String) { self.text = text }

  /// Decodes the text alone.
  public init(from decoder: any Decoder) throws {
    text = try decoder.singleValueContainer().decode(String.self)
  }

  /// Encodes the text alone.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }

  /// Says only that there is something.
  public var description: String { "(secret)" }
  /// Says only that there is something.
  public var debugDescription: String { description }
  /// Shows nothing of it.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// What is asked of a host about the agent's credentials. Each of these done twice gives the result of once.
public enum CredentialOrder: Hashable, Sendable, Codable {
  /// Puts these files in place of those that are there, which are kept beside them until `settle` or `undo`.
  case place(CredentialFiles)
  /// Puts back what was there before the files with this digest came; nothing is changed where others are there now.
  case undo(Digest)
  /// The files with this digest were seen to work: what was kept from before is removed.
  case settle(Digest)
}

/// How an agent's credentials are on a host, after an order.
public struct CredentialState: Hashable, Sendable, Codable {
  /// The digest of all files together; nil where one is missing.
  public var digest: Digest?
  /// Whether the order changed a file that the agent reads.
  public var changed: Bool
  /// Whether files from before are kept.
  public var keepsBefore: Bool

  /// A state from its parts.
  public init(digest: Digest?, changed: Bool, keepsBefore: Bool) {
    self.digest = digest
    self.changed = changed
    self.keepsBefore = keepsBefore
  }
}
