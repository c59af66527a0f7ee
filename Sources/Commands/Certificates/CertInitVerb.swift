import ArgumentParser
import Certificates
import RolloutModel

struct CertInitVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Make a certificate authority in a new folder.")
  @OptionGroup var authority: AuthorityOptions

  @Option(
    help: ArgumentHelp("The authority's name in its certificate; default one of its own.", valueName: "CN"))
  var name: String?

  @Option(help: ArgumentHelp("How many days it counts.", valueName: "N"))
  var days = CertificateLimits.usualAuthorityDays

  func run() throws {
    let (directory, made) = try authority.use { authority throws(AuthorityError) in
      (authority.directory, try authority.create(named: name, days: days))
    }
    Output.line("\(escapedForTerminal(directory)): an authority until \(Words.clock(made.notAfter))")
    Output.line("Keep ca.key where nobody else gets at it, and a copy of the folder where no fire does.")
  }
}
