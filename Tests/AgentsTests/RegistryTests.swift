import Agents
import FoundationEssentials
import Glibc
import RolloutModel
import Testing

@Suite("The registry of agents")
struct RegistryTests {
  private let folder: Scratch
  private let registry: AgentRegistry

  init() throws {
    folder = try Scratch()
    registry = AgentRegistry(directory: "\(folder.path)/state", time: Clock())
  }

  private static func hosts(_ names: String...) -> [Host] { names.map { Host(name: $0, address: $0) } }

  @discardableResult
  private func register(_ hosts: [Host], port: Int = 7440) throws -> AgentToken {
    let (token, wanted) = (AgentToken(), try #require(AgentPorts(rpc: port)))
    _ = try registry.register(hosts, token: token, wanted: wanted, by: "me") {}
    return token
  }

  private func refusal(_ body: () throws -> Void) -> RegistryError? {
    do { try body() } catch { return error as? RegistryError }
    return nil
  }

  @Test("Looking makes nothing; what is registered is found again, with the token's digest alone")
  func registers() throws {
    #expect(try registry.agents().isEmpty)
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/state"))
    let token = try register(Self.hosts("b", "a"))
    let agents = try registry.agents()
    #expect(agents.map(\.host) == ["a", "b"])
    for agent in agents {
      #expect(token.isThat(of: agent))
      #expect(!AgentToken().isThat(of: agent))
    }
    let text = try String(contentsOfFile: "\(folder.path)/state/agents.json", encoding: .utf8)
    #expect(!text.contains(token.text))
    #expect("\(token)" == "(token)")
    var about = stat()
    #expect(stat("\(folder.path)/state/agents.json", &about) == 0 && about.st_mode & 0o7777 == 0o600)
  }

  @Test("All are registered or none, and nothing is where the token can't be kept")
  func isWhole() throws {
    try register(Self.hosts("a"))
    let error = refusal { try register(Self.hosts("b", "a")) }
    #expect(error?.kind == .refused)
    #expect(try registry.agents().map(\.host) == ["a"])
    struct Full: Error {}
    let wanted = try #require(AgentPorts(rpc: 7440))
    #expect(throws: Full.self) {
      try registry.register(Self.hosts("c"), token: AgentToken(), wanted: wanted, by: "me") { throw Full() }
    }
    #expect(try registry.agents().map(\.host) == ["a"])
  }

  @Test("Agents on one address get ports of their own, three in a row")
  func makesPorts() throws {
    let hosts = ["a", "b", "c"].map { Host(name: $0, address: "192.0.2.1") }
    try register([hosts[0]])
    try register([hosts[1], hosts[2], Host(name: "d", address: "192.0.2.2")], port: 7439)
    let ports = Dictionary(uniqueKeysWithValues: try registry.agents().map { ($0.host, $0.ports.rpc) })
    #expect(ports == ["a": 7440, "b": 7443, "c": 7446, "d": 7439])
    #expect(AgentPorts(rpc: 65_534) == nil && AgentPorts(rpc: 0) == nil)
    let last = Host(name: "z", address: "192.0.2.9")
    try register([last], port: 65_533)
    #expect(refusal { try register([Host(name: "y", address: "192.0.2.9")], port: 65_532) }?.kind == .refused)
  }

  @Test("Hosts are taken out again; those that are not there are none the worse")
  func removes() throws {
    try register(Self.hosts("a", "b"))
    #expect(try registry.remove(["b", "nobody"]).map(\.host) == ["b"])
    #expect(try registry.remove(["b"]).isEmpty)
    #expect(try registry.agents().map(\.host) == ["a"])
  }

  @Test(
    "A file that is damaged, of a later format, or open to others is refused and stays as it is",
    arguments: ["", "{", #"{"format":2,"agents":[]}"#, #"{"format":1,"agents":[{"host":"a"}]}"#])
  func refusesDamage(text: String) throws {
    try register(Self.hosts("a"))
    let path = "\(folder.path)/state/agents.json"
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    #expect(refusal { _ = try registry.agents() }?.kind == .damaged)
    #expect(refusal { try register(Self.hosts("b")) }?.kind == .damaged)
    #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
    chmod(path, 0o644)
    #expect(refusal { _ = try registry.agents() }?.message.contains("this user alone") == true)
  }

  @Test("What may be a token is told from what may not")
  func readsTokens() {
    #expect(AgentToken(AgentToken().text) != nil)
    for text in ["", "abc", String(repeating: "g", count: 64), String(repeating: "a", count: 65)] {
      #expect(AgentToken(text) == nil)
    }
    #expect(AgentToken().text != AgentToken().text)
  }

  @Test("Many at a time, and no more, are done, and answers keep their order")
  func takesTurns() async {
    #expect(await inTurn(Array(0..<300), atOnce: 7) { $0 * 2 } == Array(0..<300).map { $0 * 2 })
    #expect(await inTurn([Int](), atOnce: 7) { $0 } == [])
  }
}

/// A folder of a test's own.
final class Scratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/switchyard-registry-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    // What is left is in /tmp.
    _ = try? FileManager.default.removeItem(atPath: path)
  }
}
