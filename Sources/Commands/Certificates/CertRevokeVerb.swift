import ArgumentParser
import Certificates
import RolloutModel

struct CertRevokeVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Revoke all certificates of a name, or one, and sign a new revocation list.",
    discussion: "Agents refuse a revoked certificate as soon as they have the new crl.pem.")
  @OptionGroup var authority: AuthorityOptions
  @OptionGroup var output: OutputOptions

  @Argument(help: "Whose.")
  var name: String?

  @Option(help: ArgumentHelp("One certificate alone, by its serial number.", valueName: "HEX"))
  var serial: String?

  @Option(
    help:
      "Why: \(RevocationReason.allCases.map(\.rawValue).joined(separator: ", ")).")
  var reason: RevocationReason = .unspecified

  func run() throws {
    let revoked: [CertificateRecord]
    switch (name, serial) {
    case (let name?, nil):
      revoked = try authority.use { authority throws(AuthorityError) in
        try authority.revoke(name, reason: reason)
      }
    case (nil, let text?):
      guard let serial = CertificateSerial(text) else {
        throw CommandError.invalid(
          "--serial \(escapedForTerminal(text)): no serial number; `switchyard cert list` shows them")
      }
      revoked = try authority.use { authority throws(AuthorityError) in
        try authority.revoke(serial, reason: reason)
      }
    case (_?, _?):
      throw CommandError.invalid("a name and --serial exclude one another: leave one of the two out")
    case (nil, nil): throw CommandError.invalid("say whose certificates to revoke: a name, or --serial HEX")
    }
    if output.isJSON {
      let now = SystemTimekeeper().wall
      return try Output.json(revoked.map { CertListRow($0, now: now) })
    }
    for record in revoked { Output.line("\(record.name): serial \(record.serial) is revoked") }
  }
}
