/// Something that ends, and how near that is.
public struct Expiry: Hashable, Sendable {
  /// What ends.
  public enum Thing: Hashable, Sendable {
    /// The authority's own certificate.
    case authority
    /// The revocation list.
    case list
    /// The newest certificate of a name.
    case certificate(CertificateRecord)
  }

  /// How near the end is.
  public enum Nearness: String, Hashable, Sendable {
    /// Not near.
    case far
    /// Within the warning.
    case near
    /// Behind us.
    case past
  }

  /// What ends.
  public let thing: Thing
  /// When, in milliseconds since 1970.
  public let end: Int64
  /// How near that is.
  public let nearness: Nearness

  init(_ thing: Thing, end: Int64, now: Int64, warning: Int64) {
    self.thing = thing
    self.end = end
    nearness = now > end ? .past : end - now <= warning ? .near : .far
  }
}

extension AuthorityContents {
  /// What ends when, at a time in milliseconds since 1970, with a warning so many milliseconds ahead. Of each name the newest
  /// certificate is told: that older ones end is what renewing is for. A name whose newest one is revoked is done with.
  public func expiries(at now: Int64, warning: Int64) -> [Expiry] {
    // A list is signed anew every month: a warning as long as its life would never end.
    let listWarning = min(warning, (list.nextUpdate - list.thisUpdate) / 3)
    return [
      Expiry(.authority, end: notAfter, now: now, warning: warning),
      Expiry(.list, end: list.nextUpdate, now: now, warning: listWarning),
    ]
      + index.newest.filter { $0.revocation == nil }.map {
        Expiry(.certificate($0), end: $0.notAfter, now: now, warning: warning)
      }
  }
}
