import RolloutModel
import Testing

@testable import PolicyFiles

@Suite("Agent files of containers")
struct ContainerFileTests {
  private static let least = """
    agent: demo
    user: demo
    slots: {blue: 7001, green: 7002}
    public_port: 8400
    health: [{tcp: true}]

    """
  private static let hex = String(repeating: "ab", count: 32)

  private func parse(_ text: String) throws -> AgentDefinition {
    try AgentFile.parse(text: Self.least + text, name: "agent.yml")
  }

  @Test("every key of a container is read")
  func readsAll() throws {
    let agent = try parse(
      """
      args: ["--verbose"]
      container:
        image: registry.example:5000/team/demo_agent@sha256:\(Self.hex)
        volumes: ["/var/lib/demo:/data", "/etc/ssl/certs:/etc/ssl/certs:ro", "/run/demo/a:/run/a:rw"]
        read_only: false
        memory: 256MiB
      """)
    let container = try #require(agent.container)
    #expect(container.image?.name == "registry.example:5000/team/demo_agent")
    #expect(container.image?.digest == Digest(Self.hex))
    #expect(
      container.volumes == [
        ContainerVolume(source: "/var/lib/demo", target: "/data", readOnly: false),
        ContainerVolume(source: "/etc/ssl/certs", target: "/etc/ssl/certs", readOnly: true),
        ContainerVolume(source: "/run/demo/a", target: "/run/a", readOnly: false),
      ])
    #expect(!container.readOnly && container.memory == 256 << 20)
    #expect(agent.exec.isEmpty && agent.args == ["--verbose"] && agent.unitTemplate == nil)
  }

  @Test("what a container leaves out has its default: the archive is the image, and nothing can be written")
  func readsLeast() throws {
    let container = try #require(try parse("container: {}").container)
    #expect(container == ContainerDefinition(image: nil, volumes: [], readOnly: true, memory: nil))
  }

  @Test("Podman and what it needs is asked for before everything else that the file asks for")
  func dependencies() throws {
    #expect(try parse("exec: bin/agent").dependencies.isEmpty)
    let agent = try parse("container: {}\ndependencies: [{port_free: 9}]")
    #expect(
      agent.dependencies == [
        .command(argv: ["podman", "--version"], version: VersionBound(">=4.3")),
        .file(path: "/sys/fs/cgroup/cgroup.controllers"), .portFree(9),
      ])
  }

  @Test("the image's digest and all that a container may do is part of the release's identity")
  func identity() throws {
    let digest = try #require(Digest(Self.hex))
    let version = try #require(Version("1.0"))
    func manifest(_ text: String) throws -> ReleaseManifest {
      ReleaseManifest(
        agent: try parse(text), version: version,
        archive: ReleaseArchive(architecture: "", path: "a", digest: digest, bytes: 1))
    }
    let texts = [
      "exec: bin/agent", "container: {}", "container: {memory: 1MiB}", "container: {read_only: false}",
      "container: {volumes: ['/var/lib/demo:/d']}", "container: {image: a.b/c@sha256:\(Self.hex)}",
    ]
    let encoded = try texts.map { try canonicalJSON(try manifest($0)) }
    #expect(Set(encoded).count == texts.count)
    // Releases that are no containers are what they were.
    #expect(!String(decoding: encoded[0], as: UTF8.self).contains("container"))
    #expect(try manifest("exec: bin/agent").storeName != manifest("container: {}").storeName)
  }

  @Test(
    "an image is named with its registry and by digest alone",
    arguments: [
      ("registry.example/demo", true), ("localhost/demo", true), ("localhost:5000/demo", true),
      ("10.0.0.1:5000/a/b/c", true), ("a.b/x_y.z-w", true), ("demo", false), ("team/demo", false),
      ("a.b/Demo", false), ("a.b/", false), ("a.b//c", false), ("/a.b/c", false), ("a.b/../c", false),
      ("a.b/c:1", false), ("a.b:x/c", false), ("a.b:1:2/c", false), ("-a.b/c", false), ("a.b/-c", false),
      ("a.b/c d", false), ("docker://a.b/c", false), ("a.b/c@sha256:00", false), ("a.b/\u{e9}", false),
    ])
  func references(name: String, isGood: Bool) {
    #expect((ImageReference("\(name)@sha256:\(Self.hex)") != nil) == isGood)
    #expect(ImageReference(name) == nil)
    #expect(ImageReference("\(name)@sha256:\(Self.hex.uppercased())") == nil)
    #expect(ImageReference("\(name)@sha512:\(Self.hex)") == nil)
  }
}
