import Agents
import ArgumentParser
import Ports
import RolloutModel

struct AgentUploadVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upload",
    abstract:
      "Bring a file to agents, who keep it under its SHA-256; what they have of it already is not sent again.",
    discussion: "Exit codes: 0 all have it, 1 some have not.")
  @Argument(help: "The file.")
  var file: String

  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var options: AgentOptions
  @OptionGroup var output: OutputOptions

  /// A file that was cut off is gone on with so often.
  private static let tries = 3

  func run() async throws {
    let fleet = try AgentFleet(options)
    let hosts = try await HostFleet.load(inventory)
    let (digest, size) = try await Archives.measure(file)
    let upload = AgentUpload(path: file, digest: digest, size: size)
    let rows = try await fleet.each(hosts, atOnce: 10) { site, host in
      let caller = site.caller
      var last: DoorError?
      for _ in 0..<Self.tries {
        do throws(DoorError) {
          let end = try await caller.upload(upload, to: host, progressWithin: .seconds(60))
          return await Self.row(host, end, upload, door: caller.way(to: host))
        } catch {
          last = error
          guard error.kind == .lost else { break }
        }
      }
      let why = last.map { "\($0)" } ?? ""
      return await AgentRow(host: host.name, ok: false, door: caller.way(to: host), text: why)
    }
    try AgentReport.tell(rows, output)
  }

  private static func row(
    _ host: Host, _ end: AgentUploadEnd, _ upload: AgentUpload, door: String
  ) -> AgentRow {
    switch end {
    case .here(let sent):
      AgentRow(
        host: host.name, ok: true, door: door,
        text: "has \(upload.digest), \(upload.size) bytes, of which \(sent) were sent")
    case .refused(_, let message, let hint):
      AgentRow(host: host.name, ok: false, door: door, text: hint.isEmpty ? message : "\(message); \(hint)")
    }
  }
}
