import Agents
import ArgumentParser
import Certificates
import RolloutModel

struct CertPushVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "push",
    abstract:
      "Bring agents' certificates, keys, the authority and its list to their hosts, and see them served.",
    discussion: """
      Each host's certificate is that of the host's name in the inventory. An agent that is not seen to serve its \
      new certificate gets the files from before back.
      Exit codes: 0 all are served, 1 hosts could not be asked, 2 nothing was done, 3 on some hosts the files from before \
      are back, 4 what some hosts have is not known.
      """)
  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var options: AgentOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("How long an agent has to serve what was brought.", valueName: "D"))
  var within = "30s"

  @Flag(help: "Also where no agent serves yet: the files are placed, and nobody is seen to serve them.")
  var unseen = false

  @Flag(
    help: "Also where the agent serves a certificate of another authority, which it then no longer trusts.")
  var replaceAuthority = false

  func run() async throws {
    guard !unseen || !replaceAuthority else {
      throw CommandError.invalid(
        "--unseen looks at no agent, so that --replace-authority says nothing; leave one out")
    }
    let span = Span(milliseconds: try CertText.span(within, of: "--within"))
    let fleet = try AgentFleet(options)
    let hosts = try await HostFleet.load(inventory)
    let credentials = try await HostCredentials.load(hosts, options.authority)
    let care: CredentialPush.Care = unseen ? .unseen : replaceAuthority ? .anyAuthority : .sameAuthority
    let results = try await fleet.each(credentials, host: \.host) { site, credentials in
      let push = CredentialPush(
        doors: site.doors, look: site.look, prober: site.prober, time: site.time, port: site.agent.publicPort,
        within: span, care: care)
      return await push.bring(credentials.credentials, to: credentials.host)
    }
    try CertPushReport.tell(results, output)
  }
}

/// What a host is to have.
struct HostCredentials: Sendable {
  var host: Host
  var credentials: AgentCredentials

  /// All hosts' credentials, read and checked before any host is asked; all that is wrong is told at once.
  static func load(_ hosts: [Host], _ options: AuthorityOptions) async throws -> [HostCredentials] {
    try await offThePool {
      let results = try options.use { authority throws(AuthorityError) in
        try authority.credentials(of: hosts.map(\.name))
      }
      var found: [HostCredentials] = []
      var problems: [String] = []
      for (host, result) in zip(hosts, results) {
        switch result {
        case .success(let credentials):
          if let why = CredentialPush.mismatch(credentials, host) { problems.append(why) }
          found.append(HostCredentials(host: host, credentials: credentials))
        case .failure(let error): problems.append("\(escapedForTerminal(host.name)): \(error)")
        }
      }
      guard problems.isEmpty else { throw CommandError.invalid(problems.joined(separator: "\n")) }
      return found
    }
  }
}

/// How a push is told.
enum CertPushReport {
  /// One host of `cert push --output json`; times in milliseconds since 1970.
  struct Row: Encodable {
    var host: String
    var ok: Bool
    var state: CredentialPush.Result.State
    var changed: Bool
    var serial: String?
    var not_after: Int64?
    var door: String?
    var text: String

    init(_ result: CredentialPush.Result) {
      host = result.host
      ok = result.isGood
      state = result.state
      changed = result.changed
      serial = result.record?.serial.description
      not_after = result.record?.notAfter
      door = result.way
      text = result.text
    }

    var line: String {
      let until = not_after.map { ", until \(Words.clock($0))" } ?? ""
      return
        "\(escapedForTerminal(host))  \(state.rawValue.replacing("_", with: " ")): \(escapedForTerminal(text, limit: 4000))\(ok ? until : "")"
    }
  }

  /// Prints the results; ends with the exit code for the worst of them.
  static func tell(_ results: [CredentialPush.Result], _ output: OutputOptions) throws {
    let rows = results.map(Row.init)
    if output.isJSON {
      try Output.json(rows)
    } else {
      for row in rows { Output.line(row.line) }
    }
    let states = results.map(\.state)
    if states.contains(.unknown) { throw ExitCode(CommandError.rollbackIncomplete) }
    if states.contains(.putBack) { throw ExitCode(CommandError.rolledBack) }
    if states.contains(.refused) { throw ExitCode(CommandError.toolError) }
  }
}
