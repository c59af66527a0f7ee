import ArgumentParser
import Certificates

struct CertRenewVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "renew",
    abstract: "Issue new certificates and keys with the same names; the old ones count until their end.")
  @OptionGroup var authority: AuthorityOptions
  @OptionGroup var output: OutputOptions

  @Argument(help: "Whose.")
  var names: [String] = []

  @Flag(help: "Everybody's whose newest certificate is not revoked.")
  var all = false

  @Option(help: ArgumentHelp("Only those that end within this time.", valueName: "D"))
  var within: String?

  @Option(
    help: ArgumentHelp("How many days the new ones count; default as many as the old ones.", valueName: "N"))
  var days: Int?

  @Option(
    help: ArgumentHelp(
      "Where one name's files go; default issued/NAME below the authority.", valueName: "DIR"))
  var out: String?

  func run() throws {
    guard all == names.isEmpty else {
      throw CommandError.invalid(
        all
          ? "names and --all exclude one another: leave one of the two out"
          : "name those to renew, or say --all")
    }
    let span = try within.map { try CertText.span($0, of: "--within") }
    let issued = try authority.use { authority throws(AuthorityError) in
      try authority.renew(all ? nil : names, within: span, days: days, to: out)
    }
    try CertText.tell(issued, otherwise: "nothing is due", output)
  }
}
