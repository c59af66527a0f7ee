import ArgumentParser
import Certificates
import RolloutModel

struct CertStatusVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Check the authority's files, and show what ends when.",
    discussion:
      "Exit codes: 0 all is well, 1 the authority is damaged, 7 something has ended or ends within the warning."
  )
  @OptionGroup var authority: AuthorityOptions
  @OptionGroup var output: OutputOptions

  @Option(
    help: ArgumentHelp(
      "How long ahead to warn. The revocation list is warned of in the last third of its life, if that is shorter.",
      valueName: "D"))
  var warn = "30d"

  func run() throws {
    let warning = try CertText.span(warn, of: "--warn")
    let (directory, inspection) = try authority.use { authority throws(AuthorityError) in
      (authority.directory, try authority.inspect())
    }
    let now = SystemTimekeeper().wall
    let report = CertReport(directory, inspection, now: now, warning: warning)
    if output.isJSON {
      try Output.json(report)
    } else {
      Output.styled { report.lines(now: now, symbols: $0) }
    }
    guard report.sound else {
      throw CommandError.tool("the authority in \(escapedForTerminal(directory)) is damaged")
    }
    if report.ends.contains(where: { $0.state != .far }) { throw ExitCode(CommandError.endsSoon) }
  }
}

/// What `cert status` found; times in milliseconds since 1970.
struct CertReport: Encodable {
  /// Something that ends.
  struct End: Encodable {
    /// `authority`, `list` or `certificate`.
    var what: String
    var name: String?
    var role: String?
    var serial: String?
    /// The list's number.
    var number: Int64?
    var not_after: Int64
    var state: Expiry.Nearness
  }

  var authority: String
  var sound: Bool
  var damage: [String]
  var ends: [End]

  init(_ directory: String, _ inspection: AuthorityInspection, now: Int64, warning: Int64) {
    authority = directory
    sound = inspection.damage.isEmpty
    damage = inspection.damage.map(\.description)
    ends =
      inspection.contents.map { contents in
        contents.expiries(at: now, warning: warning).map { End($0, number: contents.list.number) }
      } ?? []
  }

  /// For people.
  func lines(now: Int64, symbols: Symbols) -> [StyledText] {
    var table = Table(["", "WHAT", "ENDS", "IN"])
    for end in ends {
      let (sign, style): (String, Style) =
        switch end.state {
        case .far: (symbols.done, .good)
        case .near: (symbols.active, .warning)
        case .past: (symbols.failed, .bad)
        }
      table.add([
        StyledText(sign, style), StyledText(end.title), StyledText(Words.clock(end.not_after)),
        StyledText(
          end.state == .past ? "ended" : Words.span(milliseconds: end.not_after - now), style),
      ])
    }
    let sum = StyledText("\(authority): \(sound ? "sound" : "damaged")", sound ? .good : .bad)
    return (ends.isEmpty ? [] : table.lines()) + damage.map { StyledText($0, .bad) } + [sum]
  }
}

extension CertReport.End {
  init(_ expiry: Expiry, number: Int64) {
    not_after = expiry.end
    state = expiry.nearness
    switch expiry.thing {
    case .authority: what = "authority"
    case .list:
      what = "list"
      self.number = number
    case .certificate(let record):
      what = "certificate"
      name = record.name.text
      role = record.role.rawValue
      serial = record.serial.description
    }
  }

  fileprivate var title: String {
    switch (name, number) {
    case (let name?, _): "\(name), \(role ?? "")"
    case (nil, let number?): "revocation list \(number)"
    case (nil, nil): "the authority"
    }
  }
}

extension Expiry.Nearness: Encodable {}
