import ArgumentParser
import Certificates

struct CertCRLVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "crl",
    abstract: "Sign the revocation list anew, for another \(CertificateLimits.listDays) days.")
  @OptionGroup var authority: AuthorityOptions

  func run() throws {
    let list = try authority.use { authority throws(AuthorityError) in try authority.signList() }
    Output.line(
      "list \(list.number) revokes \(Words.count(list.entries.count, "certificate")), and counts until \(Words.clock(list.nextUpdate))"
    )
  }
}
