/// An index as JSON.
struct IndexFile: Codable {
  static let version = 1

  struct Row: Codable {
    var serial: String
    var name: String
    var role: String
    var names: [String]
    var days: Int
    var not_before: Int64
    var not_after: Int64
    var revoked_at: Int64?
    var reason: String?
  }

  var version = Self.version
  /// The last revocation list's number.
  var list: Int64
  var certificates: [Row]

  init(_ index: AuthorityIndex) {
    list = index.listNumber
    certificates = index.records.map(Row.init)
  }
}

extension IndexFile.Row {
  init(_ record: CertificateRecord) {
    serial = record.serial.description
    name = record.name.text
    role = record.role.rawValue
    names = record.alternativeNames.map(\.description)
    days = record.days
    not_before = record.notBefore
    not_after = record.notAfter
    revoked_at = record.revocation?.at
    reason = record.revocation?.reason.rawValue
  }

  /// Nil where a value is not one that an authority writes.
  var record: CertificateRecord? {
    guard let serial = CertificateSerial(serial), let name = CertificateName(name),
      let role = CertificateRole(rawValue: role), CertificateLimits.days.contains(days),
      CertificateTime.expressible.contains(not_before), CertificateTime.expressible.contains(not_after),
      not_before < not_after
    else { return nil }
    let names = names.compactMap(AlternativeName.init)
    guard names.count == self.names.count else { return nil }
    var record = CertificateRecord(
      serial: serial, name: name, role: role, alternativeNames: names, days: days, notBefore: not_before,
      notAfter: not_after)
    switch (revoked_at, reason) {
    case (nil, nil): break
    case (let at?, let reason?):
      guard CertificateTime.expressible.contains(at), let reason = RevocationReason(rawValue: reason) else {
        return nil
      }
      record.revocation = CertificateRecord.Revocation(at: at, reason: reason)
    default: return nil
    }
    return record
  }
}
