import ArgumentParser
import Certificates
import RolloutModel

struct CertListVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List all certificates that were issued, in that order.")
  @OptionGroup var authority: AuthorityOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let contents = try authority.use { authority throws(AuthorityError) in try authority.read() }
    let now = SystemTimekeeper().wall
    let rows = contents.records.map { CertListRow($0, now: now) }
    if output.isJSON {
      try Output.json(rows)
    } else if rows.isEmpty {
      Output.line("no certificate was issued yet")
    } else {
      Output.styled { _ in CertListRow.lines(rows) }
    }
  }
}

/// One certificate of `cert list --output json`, and of what was issued or revoked; times in milliseconds since 1970.
struct CertListRow: Encodable {
  var serial: String
  var name: String
  var role: String
  var names: [String]
  var not_before: Int64
  var not_after: Int64
  var state: String
  var revoked_at: Int64?
  var reason: String?
  /// Where the files of one that was just issued are.
  var folder: String?

  init(_ record: CertificateRecord, now: Int64, folder: String? = nil) {
    self.folder = folder
    serial = record.serial.description
    name = record.name.text
    role = record.role.rawValue
    names = record.alternativeNames.map(\.description)
    not_before = record.notBefore
    not_after = record.notAfter
    state = record.state(at: now).rawValue
    revoked_at = record.revocation?.at
    reason = record.revocation?.reason.rawValue
  }

  /// For people.
  static func lines(_ rows: [CertListRow]) -> [StyledText] {
    var table = Table(["NAME", "ROLE", "STATE", "UNTIL", "SERIAL", "NAMES"])
    for row in rows {
      let style: Style = row.state == CertificateRecord.State.valid.rawValue ? .good : .warning
      table.add([
        StyledText(row.name), StyledText(row.role), StyledText(row.state, style),
        StyledText(Words.clock(row.not_after)), StyledText(row.serial),
        StyledText(row.names.joined(separator: " ")),
      ])
    }
    return table.lines()
  }
}
