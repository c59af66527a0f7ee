import FoundationEssentials
import Glibc
import MarkedYAML
import RolloutModel
import Testing

@testable import AgentService

@Suite("The agent's configuration")
struct ConfigurationTests {
  private static let least = """
    certificate: /etc/a.pem
    key: /etc/a.key
    authority: /etc/ca.pem

    """

  private func parse(_ text: String, readsRevocations: Bool = true) throws -> AgentConfiguration {
    try ConfigurationFile.parse(Array(text.utf8), name: "agent.yml", readsRevocations: readsRevocations)
  }

  private func complaint(_ text: String, readsRevocations: Bool = true) -> String {
    do {
      _ = try parse(text, readsRevocations: readsRevocations)
      return ""
    } catch { return "\(error)" }
  }

  @Test("What is not said has its default")
  func defaults() throws {
    let file = try parse(Self.least)
    #expect(file.listen == "0.0.0.0")
    #expect(file.hostSocket == "/run/switchyard/host.sock")
    #expect(file.playbookSocket == "/run/switchyard/playbook.sock")
    #expect(file.tunnels.isEmpty && file.commands.isEmpty)
    #expect(file.controllers == nil && file.revoked == nil)
    #expect(file.drain == .seconds(30))
  }

  @Test("Every key is read")
  func everything() throws {
    let file = try parse(
      Self.least + #"""
        listen: "::1"
        revoked: /etc/crl.pem
        controllers: [ops, deploy.example]
        host_socket: /run/other.sock
        playbook_socket: /run/another.sock
        tunnels: [7001, 7002]
        drain: 1m30s
        commands:
          uptime: {run: [/usr/bin/uptime], timeout: 10s}
          unit-log:
            run: [/usr/bin/journalctl, -u, "{{ unit }}", -n, "50"]
            arguments: {unit: "[a-z][a-z0-9-]{0,40}\\.service"}
        """#)
    #expect(file.listen == "::1")
    #expect(file.revoked == "/etc/crl.pem")
    #expect(file.controllers == ["ops", "deploy.example"])
    #expect(file.hostSocket == "/run/other.sock")
    #expect(file.playbookSocket == "/run/another.sock")
    #expect(file.tunnels == [7001, 7002])
    #expect(file.drain == .seconds(90))
    #expect(file.commands["uptime"]?.timeout == .seconds(10))
    #expect(file.commands["unit-log"]?.arguments == ["unit": #"[a-z][a-z0-9-]{0,40}\.service"#])
    #expect(file.commands["unit-log"]?.timeout == .seconds(30))
  }

  @Test(
    "What is wrong is told with its place and what would be right",
    arguments: [
      ("certificat: /a", "agent.yml:4:1: the configuration has no key \"certificat\""),
      ("tunels: [1]", "agent.yml:4:1: the configuration has no key \"tunels\"; did you mean tunnels?"),
      ("listen: localhost", "agent.yml:4:9: listen is \"localhost\", no IP address"),
      ("revoked: crl.pem", "agent.yml:4:10: revoked is \"crl.pem\"; write an absolute path"),
      ("tunnels: [0]", "agent.yml:4:11: a tunnel's port is \"0\""),
      ("tunnels: [\"80\"]", "agent.yml:4:11: a tunnel's port is \"80\"; write a whole number"),
      ("tunnels: 80", "agent.yml:4:10: tunnels must be a list"),
      ("controllers: []", "agent.yml:4:14: controllers has 0 entries"),
      ("drain: 30", "agent.yml:4:8: drain is \"30\"; write 0s to 1h"),
      ("drain:", "agent.yml:4:1: drain has no value"),
      (
        "host_socket: /\(String(repeating: "x", count: 107))",
        "agent.yml:4:14: host_socket is longer than 107 bytes"
      ),
      ("commands: {Up: {run: [/a]}}", "agent.yml:4:12: \"Up\" is no command's name"),
      ("commands: {up: {}}", "agent.yml:4:16: the command up lacks the key \"run\""),
      (
        "commands: {up: {run: [uptime]}}",
        "agent.yml:4:22: up runs \"uptime\"; begin with the program's absolute path"
      ),
      ("commands: {up: {run: [\"/{{ a }}\"]}}", "up runs \"/{{ a }}\""),
      ("commands: {up: {run: [/a, \"{{ b }}\"]}}", "up has no pattern for {{ b }}"),
      ("commands: {up: {run: [/a, \"{{ b\"]}}", "a placeholder in \"{{ b\" is not whole"),
      ("commands: {up: {run: [/a], arguments: {b: x}}}", "no argument of up uses b"),
      ("commands: {up: {run: [/a, \"{{ b }}\"], arguments: {b: \"(\"}}}", "is no regular expression"),
      ("commands: {up: {run: [/a], timeout: 1d}}", "timeout is \"1d\"; write 100ms to 10m"),
      ("commands: {up: {run: [/a], shell: true}}", "the command up has no key \"shell\""),
    ])
  func problems(line: String, wanted: String) {
    let told = complaint(Self.least + line)
    #expect(told.contains(wanted), "\(told)")
  }

  @Test("What must be there and is not, is asked for")
  func missing() {
    let told = complaint("listen: 0.0.0.0")
    for key in ["certificate", "key", "authority"] {
      #expect(told.contains("agent.yml:1:1: the configuration lacks the key \"\(key)\""))
    }
  }

  @Test("A revocation list that nothing could read is not taken for one that is kept")
  func unreadableRevocations() {
    let told = complaint(Self.least + "revoked: /etc/crl.pem", readsRevocations: false)
    #expect(told.contains("agent.yml:4:10: this program was built without what reads revocation lists"))
  }

  @Test("Files that can't be used are told of, all of them")
  func files() async throws {
    let authority = try await Authority.shared.value
    let scratch = try Scratch()
    func problems(_ configuration: AgentConfiguration) -> String {
      do {
        _ = try TLSFiles(configuration, reader: nil).load()
        return ""
      } catch { return "\(error)" }
    }
    var configuration = try parse(Self.least)
    configuration.certificate = scratch.file("nothing.pem")
    configuration.key = try scratch.write("rubbish", to: "rubbish.key")
    configuration.authority = scratch.path
    let told = problems(configuration)
    #expect(told.contains("nothing.pem:1:1: the file can't be read: No such file or directory"))
    #expect(told.contains("rubbish.key:1:1: the file holds no private key"))
    #expect(told.contains("this is a folder"))
    configuration.certificate = authority.pair("agent").certificate
    configuration.authority = authority.root
    configuration.key = authority.pair("ops").key
    #expect(problems(configuration).contains("certificate and key can't be used together"))
    configuration.key = authority.pair("agent").key
    #expect(problems(configuration).isEmpty)
  }

  @Test(
    "A key that everybody may read, a certificate that has ended, a program that is not there: the check says so"
  )
  func outside() async throws {
    let authority = try await Authority.shared.value
    let scratch = try Scratch()
    let key = scratch.file("own.key")
    try FileManager.default.copyItem(atPath: authority.pair("expired").key, toPath: key)
    var configuration = try parse(Self.least)
    configuration.certificate = authority.pair("expired").certificate
    configuration.key = key
    configuration.authority = authority.root
    configuration.commands = ["gone": AgentCommand(run: ["/nowhere"], arguments: [:], timeout: .seconds(1))]
    func told() throws -> String {
      let identity = try TLSFiles(configuration, reader: nil).load()
      do {
        try ConfigurationCheck.outside(configuration, file: "agent.yml", identity: identity)
        return ""
      } catch { return "\(error)" }
    }
    chmod(key, 0o644)
    let all = try told()
    #expect(all.contains("own.key:1:1: everybody may read or write the key"))
    #expect(all.contains("expired.pem:1:1: the agent's certificate is not valid any more"))
    #expect(
      all.contains("agent.yml:1:1: the command gone runs \"/nowhere\", which can't be run: No such file"))
    configuration.certificate = authority.pair("agent").certificate
    configuration.key = authority.pair("agent").key
    configuration.commands = [:]
    chmod(configuration.key, 0o640)
    #expect(try told().isEmpty)
  }

  @Test(
    "The arguments say what is asked for",
    arguments: [
      ([], Invocation.serve("/etc/switchyard-agent/agent.yml")), (["--config", "a"], .serve("a")),
      (["--check"], .check("/etc/switchyard-agent/agent.yml")), (["--config", "a", "--check"], .check("a")),
      (["--version"], .version), (["--help"], .help),
      (["--run", "--config", "/a"], .run("/a")), (["--config"], .misuse("--config needs a file")),
      (["serve"], .misuse("`serve` is not understood")),
    ])
  func arguments(given: [String], wanted: Invocation) {
    #expect(Invocation(given) == wanted)
  }
}
