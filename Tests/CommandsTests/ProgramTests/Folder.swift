import FoundationEssentials
import Glibc
import Synchronization

/// A folder of a test's own with good files in it, removed afterwards.
final class Folder: Sendable {
  let root: String
  private let count = Mutex(0)

  static let agent = """
    agent: demo
    user: agent
    exec: bin/agent
    slots: {blue: 7001, green: 7002}
    public_port: 8400
    health: [{http: /health}]
    """
  static let policy = "policy: p\nwaves: [{name: all, hosts: 100%}]\n"

  /// Hands a folder to `body`.
  static func with<Value>(_ body: (Folder) async throws -> Value) async throws -> Value {
    let folder = try Folder()
    defer { _ = try? FileManager.default.removeItem(atPath: folder.root) }  // what is left is in /tmp
    return try await body(folder)
  }

  private init() throws {
    var template = Array("/tmp/switchyard-program-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
    root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try write(Self.agent, to: "agent.yml")
    try write(Self.policy, to: "policy.yml")
    try write("[web]\nw1\nw2\n[db]\nd1\n", to: "hosts.ini")
    try write("archive", to: "agent.tar.gz")
  }

  /// A file of the folder.
  func path(_ name: String) -> String { root + "/" + name }

  func write(_ text: String, to name: String) throws { try write(Array(text.utf8), to: name) }

  func write(_ bytes: [UInt8], to name: String) throws {
    try Data(bytes).write(to: URL(filePath: path(name)))
  }

  /// All names in the folder, sorted, but for what runs of the program wrote to their outputs.
  func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: root).sorted()
      .filter { !$0.hasSuffix(".out") && !$0.hasSuffix(".err") }
  }

  /// A number that no run of this folder has had.
  func next() -> Int {
    count.withLock {
      $0 += 1
      return $0
    }
  }

  /// A good plan, with some options replaced; an empty list leaves an option out.
  func plan(
    _ verb: [String] = ["rollout", "plan", "--offline"], changing changes: [String: [String]] = [:]
  ) -> [String] {
    let good = [
      ("--inventory", path("hosts.ini")), ("--agent", path("agent.yml")), ("--policy", path("policy.yml")),
      ("--version", "2.0.0"), ("--archive", path("agent.tar.gz")),
    ]
    var arguments = verb
    for (option, value) in good {
      for value in changes[option] ?? [value] { arguments += [option, value] }
    }
    for option in changes.keys.sorted() where !good.contains(where: { $0.0 == option }) {
      for value in changes[option] ?? [] { arguments += [option, value] }
    }
    return arguments
  }
}
