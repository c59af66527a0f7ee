import ArgumentParser
import Certificates

struct CertIssueVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "issue",
    abstract: "Issue a certificate and its key to an agent or a controller that has none.")
  @OptionGroup var authority: AuthorityOptions
  @OptionGroup var output: OutputOptions

  @Argument(help: "Whom it is for; an agent is called by this name.")
  var name: String

  @Option(
    help: ArgumentHelp(
      "A further name: dns:NAME or ip:ADDRESS. May be given several times.", valueName: "NAME"))
  var san: [String] = []

  @Option(help: "What it may be used for: agent (a server) or controller (a client).")
  var role: CertificateRole = .agent

  @Option(help: ArgumentHelp("How many days it counts.", valueName: "N"))
  var days = CertificateLimits.usualDays

  @Option(
    help: ArgumentHelp(
      "Where NAME.pem, NAME.key, ca.pem and crl.pem go; default issued/NAME below the authority.",
      valueName: "DIR"))
  var out: String?

  func run() throws {
    let issued = try authority.use { authority throws(AuthorityError) in
      try authority.issue(
        CertificateRequest(name: name, role: role, alternativeNames: san, days: days), to: out)
    }
    try CertText.tell([issued], output)
  }
}
