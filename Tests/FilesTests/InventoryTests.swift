import BadFiles
import FoundationEssentials
import Glibc
import Inventory
import MarkedYAML
import RolloutModel
import Testing

@Suite("Inventories")
struct InventoryTests {
  private static func ini(_ text: String, limit: String? = nil) throws -> [Host] {
    try Inventory.parse(text: text, name: "hosts.ini", limit: limit)
  }

  @Test("known hosts, jump hosts and other ssh arguments are read; the first of several wins")
  func readsSSHArguments() throws {
    let hosts = try Self.ini(
      """
      h1 ansible_ssh_common_args='-o UserKnownHostsFile=/a/known -J ops@jump:2222,second'
      h2 ansible_ssh_common_args="-oUserKnownHostsFile='/a /b' -o ProxyJump=j1" ansible_ssh_extra_args='-Jj2 -p 29'
      h3 ansible_ssh_args='-C -o ControlMaster=auto -o ControlPersist=60s -4 -l joe -i /k -p 2201'
      h4 ansible_ssh_common_args='-o StrictHostKeyChecking=no -o "UserKnownHostsFile /c"'
      h5 ansible_ssh_common_args='-o "userknownhostsfile=/d /e" -o ProxyCommand=none'
      h6 ansible_ssh_common_args=''
      """)
    #expect(hosts[0].knownHostsFiles == ["/a/known"])
    #expect(hosts[0].proxyJump == "ops@jump:2222,second")
    #expect(hosts[1].knownHostsFiles == ["/a", "/b"])
    #expect(hosts[1].proxyJump == "j1" && hosts[1].port == 29)
    #expect(hosts[2].user == "joe" && hosts[2].identityFile == "/k" && hosts[2].port == 2201)
    #expect(hosts[3].knownHostsFiles == ["/c"])
    #expect(hosts[4].knownHostsFiles == ["/d", "/e"] && hosts[4].proxyJump == nil)
    #expect(hosts[5].knownHostsFiles.isEmpty)
  }

  @Test("a leading ~ is the user's home folder")
  func expandsHome() throws {
    let home = try #require(getenv("HOME").map { String(cString: $0) })
    let host = try Self.ini(
      "h1 ansible_ssh_private_key_file=~/.ssh/k ansible_ssh_common_args='-o UserKnownHostsFile=~/kh'")[0]
    #expect(host.identityFile == home + "/.ssh/k")
    #expect(host.knownHostsFiles == [home + "/kh"])
  }

  @Test("passwords go nowhere")
  func dropsPasswords() throws {
    let hosts = try Self.ini(
      "h1 ansible_password=Pa55w0rd ansible_become_password=Pa55w0rd ansible_ssh_pass=Pa55w0rd\n[all:vars]\nansible_sudo_pass=Pa55w0rd"
    )
    #expect(!String(decoding: try JSONEncoder().encode(hosts), as: UTF8.self).contains("Pa55w0rd"))
    #expect(!"\(hosts)".contains("Pa55w0rd"))
  }

  @Test("templates and encrypted values in variables that are not needed are no problem")
  func passesOverOthers() throws {
    let hosts = try Inventory.parse(
      text: "all: {hosts: {h1: {motd: '{{ x }}', ansible_become_password: !vault abc}}}", name: "h.yml")
    #expect(hosts.map(\.name) == ["h1"])
  }

  @Test("a template of a host that the limit leaves out is no problem")
  func checksChosenHostsOnly() throws {
    #expect(try Self.ini("h1\nh2 ansible_host={{x}}", limit: "h1").map(\.name) == ["h1"])
  }

  @Test("an INI inventory is refused at the right place, with the right word", arguments: BadInventories.ini)
  func refusesINI(bad: BadFile) {
    bad.check { try Inventory.parse($0, name: "hosts.ini") }
  }

  @Test("a YAML inventory is refused at the right place, with the right word", arguments: BadInventories.yml)
  func refusesYAML(bad: BadFile) {
    bad.check { try Inventory.parse($0, name: "hosts.yml") }
  }

  @Test("a limit is refused at the right place, with the right word", arguments: BadInventories.limits)
  func refusesLimit(bad: BadFile) {
    bad.check { try Self.ini("[web]\nw1\nw2\n[db]\nd1\n", limit: String(decoding: $0, as: UTF8.self)) }
  }

  @Test("a limit may come from a file, with comments")
  func readsLimitFile() async throws {
    try await inFolder { folder in
      try write("# canaries\nw1\n\n  d*  \n", to: folder + "/limit")
      let text = "[web]\nw1\nw2\n[db]\nd1\n"
      #expect(try Self.ini(text, limit: "@\(folder)/limit").map(\.name) == ["w1", "d1"])
      try write("w1\nw7\n", to: folder + "/limit")
      let error = #expect(throws: FileProblems.self) { try Self.ini(text, limit: "@\(folder)/limit") }
      #expect(try #require(error).description.contains("/limit:2:1: no host or group matches \"w7\""))
    }
  }

  @Test("problems in variable files name those files; encrypted ones are passed over")
  func readsVariableFiles() async throws {
    try await inFolder { folder in
      try write("[web]\nh1\n", to: folder + "/hosts")
      for name in ["group_vars", "host_vars"] {
        try FileManager.default.createDirectory(
          atPath: folder + "/" + name, withIntermediateDirectories: true)
      }
      try write("$ANSIBLE_VAULT;1.1;AES256\n6162\n", to: folder + "/group_vars/all")
      try write("ansible_port: 22\n", to: folder + "/group_vars/web")
      #expect(try await Inventory.load(path: folder + "/hosts")[0].port == 22)
      try write("\nansible_port: many\n", to: folder + "/group_vars/web")
      var error = await #expect(throws: FileProblems.self) {
        try await Inventory.load(path: folder + "/hosts")
      }
      #expect(
        try #require(error).description.contains("/group_vars/web:2:15: ansible_port of h1 is \"many\""))
      try write("- a\n", to: folder + "/host_vars/h1.yml")
      error = await #expect(throws: FileProblems.self) { try await Inventory.load(path: folder + "/hosts") }
      #expect(try #require(error).description.contains("/host_vars/h1.yml:1:1: variables must be a mapping"))
    }
  }

  @Test(
    "what is no inventory is said to be none", arguments: ["/nonexistent/hosts", "/dev/null", "/dev/zero"])
  func refusesOtherPaths(path: String) async {
    await #expect(throws: FileProblems.self) { try await Inventory.load(path: path) }
  }

  @Test("a folder without inventories is an error")
  func refusesEmptyFolder() async throws {
    try await inFolder { folder in
      let error = await #expect(throws: FileProblems.self) { try await Inventory.load(path: folder) }
      let problems = try #require(error)
      #expect(problems.description.contains("the folder holds no inventory"))
    }
  }

  @Test("damaged inventories never crash the readers")
  func survivesDamage() {
    let ini =
      "[web]\nw[01:20:3].example:2201 ansible_user='a b' ansible_host=10.0.0.1 # c\n[::1]:22\n"
      + "[top:children]\nweb\n[top:vars]\nansible_ssh_common_args=-o UserKnownHostsFile=/x -J a@b:1\n"
    let yml =
      "all:\n  vars: &v {ansible_user: a}\n  hosts:\n    h[1:3]: *v\n"
      + "  children:\n    web: {hosts: {w1: {<<: *v, ansible_port: 22}}, vars: {x: !vault y}}\n"
    // Whether they are refused does not matter here, only that the readers return.
    for variant in damaged(ini, count: 700) { _ = try? Inventory.parse(variant, name: "h.ini", limit: "all") }
    for variant in damaged(yml, count: 700) { _ = try? Inventory.parse(variant, name: "h.yml", limit: "all") }
    for variant in damaged("~web[0-9]+:&all[1:3],!w*[-1]:@x", count: 700) {
      let limit = String(decoding: variant, as: UTF8.self)
      guard !limit.contains("@") else { continue }
      _ = try? Self.ini("[web]\nw1\nw2\n", limit: limit)  // as above
    }
  }
}
