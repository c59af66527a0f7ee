import ArgumentParser
import Certificates
import RolloutModel

struct CertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cert",
    abstract: "Keep the certificates of agents and controllers: a certificate authority in a folder.",
    subcommands: [
      CertInitVerb.self, CertIssueVerb.self, CertRenewVerb.self, CertRevokeVerb.self, CertCRLVerb.self,
      CertPushVerb.self, CertListVerb.self, CertStatusVerb.self,
    ])
}

struct AuthorityOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The authority's folder; default STATE/authority.", valueName: "DIR"))
  var authority: String?

  @OptionGroup var state: StateOptions

  /// The authority's folder.
  func directory() throws -> String { try authority ?? (state.checked() + "/authority") }

  /// Does something with the authority; what fails is told with the exit code for it.
  func use<Value>(_ body: (Authority) throws(AuthorityError) -> Value) throws -> Value {
    let authority = Authority(directory: try directory(), time: SystemTimekeeper())
    do throws(AuthorityError) { return try body(authority) } catch {
      switch error.kind {
      case .refused: throw CommandError.invalid("\(error)")
      case .damaged, .unusable: throw CommandError.tool("\(error)")
      }
    }
  }
}

extension CertificateRole: ExpressibleByArgument {}

extension RevocationReason: ExpressibleByArgument {}

/// How lines tell of certificates.
enum CertText {
  static func issued(_ issued: IssuedCertificate) -> String {
    let record = issued.record
    return
      "\(record.name): \(record.role.rawValue), serial \(record.serial), until \(Words.clock(record.notAfter)), in \(escapedForTerminal(issued.folder))"
  }

  /// Tells what was issued; `otherwise` where that is nothing.
  static func tell(_ issued: [IssuedCertificate], otherwise text: String = "", _ output: OutputOptions) throws
  {
    guard !output.isJSON else {
      let now = SystemTimekeeper().wall
      return try Output.json(issued.map { CertListRow($0.record, now: now, folder: $0.folder) })
    }
    for issued in issued { Output.line(self.issued(issued)) }
    if issued.isEmpty, !text.isEmpty { Output.line(text) }
  }

  /// A span that an option names.
  static func span(_ text: String, of option: String) throws -> Int64 {
    guard let span = Span(text) else {
      throw CommandError.invalid(
        "\(option) \(escapedForTerminal(text)): not a duration; write 12h, 30d or 1d12h")
    }
    return span.milliseconds
  }
}
