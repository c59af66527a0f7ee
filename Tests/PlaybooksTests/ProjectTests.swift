import FoundationEssentials
import Glibc
import HostProtocol
import RolloutModel
import Testing

@testable import Playbooks
@testable import Ports

@Suite("A run's folder")
struct ProjectTests {
  @Test("A snapshot holds all files, without links that lead out, and the same files give the same digest")
  func snapshot() async throws {
    let source = try await RunFolder.make()
    try source.makeFolder("p/roles")
    try source.write("- hosts: all\n", to: "p/site.yml")
    try source.write("x", to: "p/roles/main.yml")
    symlink("site.yml", "\(source.path)/p/link.yml")
    let folder = try await RunFolder.make()
    let first = try ProjectSnapshot.take("\(source.path)/p", into: folder, as: "one")
    let second = try ProjectSnapshot.take("\(source.path)/p", into: folder, as: "two")
    #expect(first.digest == second.digest)
    #expect(first.manifest.entries.map(\.path) == ["link.yml", "roles/main.yml", "site.yml"])
    chmod("\(source.path)/p/site.yml", 0o755)
    let third = try ProjectSnapshot.take("\(source.path)/p", into: folder, as: "three")
    #expect(first.digest != third.digest)
    symlink("/etc/passwd", "\(source.path)/p/out")
    #expect(throws: PlaybookError.self) {
      try ProjectSnapshot.take("\(source.path)/p", into: folder, as: "four")
    }
    await source.remove()
    await folder.remove()
    #expect(access(folder.path, F_OK) != 0)
  }

  @Test("What the run was made from is no part of the project, under whatever name it lies there")
  func leavesOut() async throws {
    let source = try await RunFolder.make()
    for folder in ["p/group_vars", "p/roles/a/vars"] { try source.makeFolder(folder) }
    for path in ["site.yml", "hosts.yml", "secrets.yml", "group_vars/all.yml", "roles/a/vars/main.yml"] {
      try source.write("x", to: "p/\(path)")
    }
    symlink("hosts.yml", "\(source.path)/p/again.yml")
    let folder = try await RunFolder.make()
    let own = ["hosts.yml", "./secrets.yml", "group_vars", "host_vars"].map { "\(source.path)/p/\($0)" }
    let taken = try ProjectSnapshot.take("\(source.path)/p", into: folder, as: "p", without: own)
    #expect(taken.manifest.entries.map(\.path) == ["roles/a/vars/main.yml", "site.yml"])
    await source.remove()
    await folder.remove()
  }

  @Test("Of the variables beside an inventory those are left out that its hosts get with it, and no others")
  func ownFiles() async throws {
    let folder = try await RunFolder.make()
    for name in ["group_vars/web", "host_vars"] { try folder.makeFolder(name) }
    for name in [
      "group_vars/all.yml", "group_vars/ungrouped.yml", "group_vars/os_debian.yml", "host_vars/h2.json",
      "host_vars/other",
    ] {
      try folder.write("x", to: name)
    }
    let json =
      #"{"_meta": {"hostvars": {}}, "all": {"children": ["web", "ungrouped"]}, "web": {"hosts": ["h1", "h2"]}}"#
    var job = PlaybookJob(
      project: folder.path, playbook: "site.yml", inventory: "\(folder.path)/hosts.yml", hosts: [],
      variables: [:])
    job.sources = ["secrets.yml"]
    job.vaultPassword = "/run/password"
    let own = AnsiblePlaybooks.ownFiles(of: job, beside: try HostVariables(json: Array(json.utf8)))
    #expect(
      own.sorted()
        == [
          "/run/password", "\(folder.path)/group_vars/all.yml", "\(folder.path)/group_vars/web",
          "\(folder.path)/host_vars/h2.json", "\(folder.path)/hosts.yml", "secrets.yml",
        ].sorted())
    await folder.remove()
  }

  @Test("What a killed run has left goes with the next one, what another one uses stays")
  func leftovers() async throws {
    let folder = try await RunFolder.make()
    let base = String(folder.path.prefix(upTo: try #require(folder.path.lastIndex(of: "/"))))
    // Above what the kernel gives out.
    let dead = "\(base)/switchyard-playbook-2000000000-aaaaaa"
    #expect(mkdir(dead, 0o700) == 0)
    let next = try await RunFolder.make()
    #expect(access(dead, F_OK) != 0)
    #expect(access(folder.path, F_OK) == 0)
    await next.remove()
    await folder.remove()
  }

  @Test("Files of a run are for their owner alone")
  func modes() async throws {
    let folder = try await RunFolder.make()
    try folder.makeFolder("env")
    try folder.write("secret", to: "env/extravars")
    for (name, mode) in [("", 0o700), ("/env", 0o700), ("/env/extravars", 0o600)] as [(String, mode_t)] {
      var about = stat()
      #expect(stat(folder.path + name, &about) == 0)
      #expect(about.st_mode & 0o777 == mode)
    }
    await folder.remove()
  }

  @Test("Processes that carry a run's folder in their environment end with it, in whatever group they are")
  func processes() async throws {
    let folder = try await RunFolder.make()
    let tool = Tool(
      program: "/usr/bin/setsid", arguments: ["--fork", "/usr/bin/sleep", "300"],
      environment: ["MARK": folder.path],
      folder: "/")
    _ = try await tool.output(upTo: 100, within: .seconds(20))
    let found = RunProcesses(of: folder.path).numbers()
    #expect(found.count == 1)
    await folder.remove()
    #expect(RunProcesses(of: folder.path).numbers().isEmpty)
  }

  @Test("A project that is not the frozen one is not run")
  func frozen() async throws {
    let folder = try await RunFolder.make()
    for name in ["ansible-runner", "ansible-playbook", "ansible-inventory"] {
      try folder.write("", to: name)
      chmod("\(folder.path)/\(name)", 0o755)
    }
    try folder.makeFolder("project")
    try folder.write("- hosts: all\n", to: "project/site.yml")
    let tools = try AnsibleTools.find("\(folder.path)/ansible-runner", environment: [:])
    var job = PlaybookJob(
      project: "\(folder.path)/project", playbook: "site.yml", inventory: nil,
      hosts: [Host(name: "a", address: "a")], variables: [:])
    job.digest = Digest(String(repeating: "0", count: 64))
    let playbooks = AnsiblePlaybooks(tools: tools, doors: .ssh, environment: [:])
    let error = await #expect(throws: PlaybookError.self) { try await playbooks.run(job) { _ in } }
    #expect(error?.message.contains("no longer what the plan has frozen") == true)
    await folder.remove()
  }

  @Test("Without an inventory Ansible is told how hosts are reached, and no word leaves its quotes")
  func connections() throws {
    let host = Host(
      name: "a", address: "10.0.0.1", port: 2222, user: "ops", identityFile: "/k",
      knownHostsFiles: ["/with blank/it's"], proxyJump: "jump", groups: ["web"])
    let values = SSHVariables.of(host)
    #expect(values["ansible_port"] == .integer(2222))
    #expect(
      values["ansible_ssh_common_args"]
        == .unsafe(#"'-o' 'UserKnownHostsFile="/with blank/it'"'"'s"' '-J' 'jump'"#))
    let text = HostVariables(connectionsOf: [host]).inventory(of: [host]) { _ in [:] }
    #expect(text.contains(#""web": {"hosts": {"a": {}}}"#))
  }

  @Test("A missing runner is an error that says how to come by one")
  func missingRunner() {
    let error = #expect(throws: PlaybookError.self) {
      try AnsibleTools.find(nil, environment: ["PATH": "/nonexistent"])
    }
    #expect(error?.hint.contains("pip install") == true)
    #expect(throws: PlaybookError.self) { try AnsibleTools.find("/nonexistent/x", environment: [:]) }
  }
}
