import RolloutModel

/// How long things may count, in days.
public enum CertificateLimits {
  /// A certificate's days: those who read certificates take none of more than about two years.
  public static let days = 1...825
  /// A certificate's days where nobody asks for others.
  public static let usualDays = 90
  /// An authority's days.
  public static let authorityDays = 1...7300
  /// An authority's days where nobody asks for others.
  public static let usualAuthorityDays = 3650
  /// A revocation list's days.
  public static let listDays = 30
  /// How many further names a certificate may have.
  static let names = 100
}

/// A certificate that somebody asks for.
public struct CertificateRequest: Hashable, Sendable {
  /// Whom it is for.
  public let name: CertificateName
  /// What it may be used for.
  public let role: CertificateRole
  /// By which names its owner is called, without repetition.
  public let alternativeNames: [AlternativeName]
  /// How many days it is to last, if its authority lasts as long.
  public let days: Int

  /// Checks what is asked for. An agent is called by its name, and by those that are given; a controller by those alone.
  public init(
    name: String, role: CertificateRole, alternativeNames: [String] = [],
    days: Int = CertificateLimits.usualDays
  ) throws(AuthorityError) {
    self.name = try CertificateName.checked(name)
    self.role = role
    var names: [AlternativeName] = []
    if role == .agent {
      guard let own = self.name.alternativeName else {
        throw .refused(
          "no host can be called “\(name)”, which an agent's certificate is to say",
          hint: "between dots stand letters, digits and dashes, which neither begin nor end with a dash")
      }
      names.append(own)
    }
    for text in alternativeNames {
      guard let name = AlternativeName(text) else {
        throw .refused(
          "“\(escapedForTerminal(text, limit: 300))” is no further name of a certificate",
          hint: "write dns:web-1.example or ip:192.0.2.7 or ip:2001:db8::7")
      }
      if !names.contains(name) { names.append(name) }
      guard names.count <= CertificateLimits.names else {
        throw .refused("more than \(CertificateLimits.names) names are asked for", hint: "ask for fewer")
      }
    }
    guard CertificateLimits.days.contains(days) else {
      throw .refused(
        "a certificate of \(days) days is asked for",
        hint: "from \(CertificateLimits.days.lowerBound) to \(CertificateLimits.days.upperBound)")
    }
    self.alternativeNames = names
    self.days = days
  }

  /// The same again, as it was issued before.
  init(again record: CertificateRecord, days: Int?) throws(AuthorityError) {
    try self.init(
      name: record.name.text, role: record.role, alternativeNames: record.alternativeNames.map(\.description),
      days: days ?? record.days)
  }
}
