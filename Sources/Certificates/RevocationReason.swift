/// Why a certificate is revoked, by the names of RFC 5280. Those that can be taken back, and those that are about an authority,
/// are left out.
public enum RevocationReason: String, Hashable, Sendable, CaseIterable {
  /// No reason is given.
  case unspecified
  /// Its key may be known to others.
  case keyCompromise
  /// Its owner goes by another name now.
  case affiliationChanged
  /// Another one takes its place.
  case superseded
  /// Its owner is gone.
  case cessationOfOperation
  /// Its owner may no longer do what it allows.
  case privilegeWithdrawn

  /// The number in a revocation list.
  var code: Int {
    switch self {
    case .unspecified: 0
    case .keyCompromise: 1
    case .affiliationChanged: 3
    case .superseded: 4
    case .cessationOfOperation: 5
    case .privilegeWithdrawn: 9
    }
  }

  init?(code: Int) {
    guard let reason = Self.allCases.first(where: { $0.code == code }) else { return nil }
    self = reason
  }
}
