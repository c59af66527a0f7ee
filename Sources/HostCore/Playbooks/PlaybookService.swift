import FoundationEssentials
import Glibc
import HostProtocol
import RolloutModel

/// One run of a playbook for a controller, behind the agent: takes the project where it is not there yet, then hands the
/// connection over to `ansible-runner worker`.
struct PlaybookService {
  /// Where projects are kept.
  let projects: String
  /// A folder for this run alone, which its unit's end removes.
  let folder: String
  /// The program that runs playbooks.
  let runner: String

  private static let within = Span.seconds(60)

  /// Serves one run on a connection.
  func run(on connection: Int32) throws(HostFailure) {
    var input = ByteInput(connection, within: Self.within)
    let kept: ProjectStore.Kept
    let offer: PlaybookOffer
    do throws(HostFailure) {
      guard let line = try input.line(upTo: 4096) else { return }
      offer = try Self.decode(line, "an offer")
      kept = try project(offer, &input, connection)
      try prepare(kept)
    } catch {
      try say(.failed(error), to: connection)
      throw error
    }
    try say(.ready, to: connection)
    try PlaybookWorker(runner: runner, folder: folder, hasVault: offer.vault).run(on: connection)
    // Until here nobody else could remove it.
    withExtendedLifetime(kept) {}
  }

  private func project(
    _ offer: PlaybookOffer, _ input: inout ByteInput, _ connection: Int32
  ) throws(HostFailure) -> ProjectStore.Kept {
    guard offer.playbook == PlaybookOffer.version else {
      throw HostFailure(
        .unsupported,
        "this host program knows version \(PlaybookOffer.version) of playbook runs, not \(offer.playbook)",
        hint: "install the host program that came with the controller")
    }
    guard access(runner, X_OK) == 0 else {
      throw HostFailure(
        .notFound, "\(runner) can't be run: \(errorText(errno))",
        hint: "prepare the host with playbooks/install_agent.yml, or take the SSH door")
    }
    let store = try ProjectStore(path: projects)
    if let kept = try store.project(offer.project) { return kept }
    try say(.send, to: connection)
    guard let line = try input.line(upTo: ProjectManifest.Bound.line) else {
      throw HostFailure(.invalid, "the controller has gone")
    }
    let manifest: ProjectManifest = try Self.decode(line, "a list of files")
    let kept = try store.take(manifest, as: offer.project) { count throws(HostFailure) in
      try input.bytes(upTo: count)
    }
    guard input.isDrained else {
      throw HostFailure(.invalid, "the controller sent more than the files of its list")
    }
    return kept
  }

  /// The runner's folder, with the project in it.
  private func prepare(_ kept: ProjectStore.Kept) throws(HostFailure) {
    for name in ["", "/job", "/tmp"] {
      guard mkdir(folder + name, 0o700) == 0 || errno == EEXIST else {
        throw systemFailure("making \(folder)\(name)")
      }
    }
    guard symlink(kept.path, "\(folder)/job/project") == 0 else {
      throw systemFailure("linking the project into \(folder)")
    }
  }

  private func say(_ answer: PlaybookAnswer, to connection: Int32) throws(HostFailure) {
    let bytes: [UInt8]
    do { bytes = try canonicalJSON(answer) } catch {
      throw HostFailure(.system, "an answer can't be encoded: \(escapedForTerminal("\(error)"))")
    }
    try writeAll(connection, bytes + [UInt8(ascii: "\n")], what: "answering the controller")
  }

  private static func decode<Value: Decodable>(_ line: [UInt8], _ what: String) throws(HostFailure) -> Value {
    do { return try JSONDecoder().decode(Value.self, from: Data(line)) } catch {
      throw HostFailure(
        .invalid, "what the controller sent is no \(what): \(escapedForTerminal("\(error)"))",
        hint: "use the host program that came with the controller")
    }
  }
}

extension HostProgram {
  /// The verb of `switchyard-playbook@.service`.
  static func playbook(_ environment: [String: String]) throws(HostFailure) -> Exit {
    guard let folder = environment["RUNTIME_DIRECTORY"], folder.hasPrefix("/") else {
      return misuse(
        "`playbook` is run by switchyard-playbook@.service alone, which gives it a RUNTIME_DIRECTORY")
    }
    let projects = (environment["CACHE_DIRECTORY"] ?? HostFiles().caches) + "/projects"
    let runner =
      environment["SWITCHYARD_ANSIBLE_RUNNER"] ?? "/opt/switchyard-python/ansible/bin/ansible-runner"
    try PlaybookService(projects: projects, folder: folder, runner: runner).run(on: 0)
    return .done
  }
}
