import EventLoop
import Ports
import Probes
import RolloutModel

/// A probe of a service from this machine, as clients come.
struct OutsideProbe: Sendable {
  let definition: ProbeDefinition
  let port: Int

  private static let tries = 5
  private static let timeout = Span.seconds(5)

  /// Reads `http:PORT/PATH`, `https:PORT/PATH` or `tcp:PORT`.
  init(_ text: String) throws {
    func invalid() -> CommandError {
      .invalid("--probe \(escapedForTerminal(text)) is not http:PORT/PATH, https:PORT/PATH or tcp:PORT")
    }
    guard let sign = text.firstIndex(of: ":") else { throw invalid() }
    let rest = text[text.index(after: sign)...]
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    guard let port = Int(rest[..<slash]), (1...65_535).contains(port) else { throw invalid() }
    let path = slash == rest.endIndex ? "/" : String(rest[slash...])
    guard path.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else { throw invalid() }
    self.port = port
    switch text[..<sign] {
    case "http": definition = ProbeDefinition(question: .http(path: path))
    case "https": definition = ProbeDefinition(question: .https(path: path, verify: false))
    case "tcp" where slash == rest.endIndex: definition = ProbeDefinition(question: .tcp)
    default: throw invalid()
    }
  }

  /// Probes each host that is done; gives back what was wrong, by host.
  static func take(
    _ probes: [OutsideProbe], of hosts: [Host], _ report: PlaybookReport
  ) async throws -> [String: String] {
    let done = Set(report.hosts.filter(\.isGood).map(\.host))
    guard !probes.isEmpty, !done.isEmpty else { return [:] }
    let loop = try EventLoop(name: "switchyard-io")
    defer { loop.stop() }
    guard let prober = CurlProber(loop: loop, version: switchyardVersion) else {
      throw CommandError.tool("libcurl could not be set up; is there memory left?")
    }
    return await withTaskGroup(of: (String, String)?.self) { group in
      for host in hosts where done.contains(host.name) {
        for probe in probes { group.addTask { await probe.fault(of: host, prober).map { (host.name, $0) } } }
      }
      var faults: [String: String] = [:]
      for await case let (host, fault)? in group { faults[host] = fault }
      return faults
    }
  }

  /// What is wrong; nil where the last sample was good.
  private func fault(of host: Host, _ prober: CurlProber) async -> String? {
    let request = ProbeRequest(
      probe: definition, route: .direct(address: host.address, port: port), timeout: Self.timeout,
      version: nil)
    var fault: String?
    for attempt in 0..<Self.tries {
      // Ended early, it is asked early.
      if attempt > 0 { try? await Task.sleep(for: .milliseconds(500)) }
      switch await prober.sample(request).outcome {
      case .healthy: return nil
      case .unhealthy(let why), .wrongVersion(let why), .noAnswer(let why), .notAsked(let why):
        fault = "\(definition.title) at port \(port), from here: \(why)"
      }
    }
    return fault
  }
}
