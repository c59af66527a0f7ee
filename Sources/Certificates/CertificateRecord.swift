/// What an authority knows of a certificate that it issued.
public struct CertificateRecord: Hashable, Sendable {
  /// Since when it no longer counts, and why.
  public struct Revocation: Hashable, Sendable {
    /// In milliseconds since 1970.
    public let at: Int64
    /// Why.
    public let reason: RevocationReason
  }

  /// What can be said of a certificate at some time.
  public enum State: String, Hashable, Sendable {
    /// It counts.
    case valid
    /// It is past its end.
    case expired
    /// It was taken back.
    case revoked
  }

  /// Its number.
  public let serial: CertificateSerial
  /// Whom it is for.
  public let name: CertificateName
  /// What it may be used for.
  public let role: CertificateRole
  /// By which names its owner is called.
  public let alternativeNames: [AlternativeName]
  /// How many days were asked for.
  public let days: Int
  /// From when on it counts, in milliseconds since 1970.
  public let notBefore: Int64
  /// Until when it counts, in milliseconds since 1970.
  public let notAfter: Int64
  /// Nil where it was not revoked.
  public internal(set) var revocation: Revocation?

  /// How it stands at a time, in milliseconds since 1970.
  public func state(at wall: Int64) -> State {
    if revocation != nil { return .revoked }
    return wall > notAfter ? .expired : .valid
  }
}
