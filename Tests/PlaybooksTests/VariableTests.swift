import FoundationEssentials
import HostProtocol
import MarkedYAML
import RolloutModel
import Testing

@testable import Playbooks
@testable import Ports

@Suite("Variables and projects")
struct VariableTests {
  @Test("A variable of the command line is text, or JSON where it says so")
  func arguments() {
    #expect(Variables.argument("v=1.10")?.value == .text("1.10"))
    #expect(Variables.argument("v=a=b c; rm")?.value == .text("a=b c; rm"))
    #expect(Variables.argument("v:=1.5")?.value == .decimal(1.5))
    #expect(Variables.argument("v:=[1, true, null]")?.value == .list([.integer(1), .flag(true), .null]))
    for text in ["v", "=x", "1a=x", "a b=x", "v:=nonsense", "a-b=x"] {
      #expect(Variables.argument(text) == nil)
    }
  }

  @Test("A file's variables keep the types that Ansible's YAML has")
  func file() throws {
    let values = try read(
      """
      yes_: yes
      port: 8080
      mode: 0644
      version: "1.10"
      ratio: 1.5
      none:
      text: on the way
      list: [a, {b: off}]
      raw: !unsafe "{{ x }}"
      secret: !vault |
        $ANSIBLE_VAULT;1.1;AES256
        6162
      """)
    #expect(values["yes_"] == .flag(true))
    #expect(values["port"] == .integer(8080))
    #expect(values["mode"] == .text("0644"))
    #expect(values["version"] == .text("1.10"))
    #expect(values["ratio"] == .decimal(1.5))
    #expect(values["none"] == .null)
    #expect(values["text"] == .text("on the way"))
    #expect(values["list"] == .list([.text("a"), .map(["b": .flag(false)])]))
    #expect(values["raw"] == .unsafe("{{ x }}"))
    #expect(values["secret"]?.holdsVault == true)
    #expect(throws: FileProblems.self) { try read("a-b: 1") }
    #expect(throws: FileProblems.self) { try read("- 1") }
    #expect(throws: FileProblems.self) { try read("x: !!python/object y") }
  }

  @Test("What is written for Ansible is one line of YAML in which nothing gets out of its quotes")
  func yaml() throws {
    let hostile = "a\"b\\\n{{ x }}: !vault '\u{1b}\u{2028}\u{1f600}"
    let text = PlaybookValue.map(["k": .text(hostile), "s": .vault("$A\n61")]).yaml
    #expect(!text.contains("\n"))
    #expect(text.utf8.allSatisfy { (0x20..<0x7f).contains($0) })
    let node = try MarkedYAML.parse(Array(text.utf8), file: "x", keepTags: true)
    #expect(node["k"]?.text == hostile)
    #expect(node["s"]?.tag == "!vault")
  }

  @Test("The hosts' variables are narrowed to some hosts, and groups stay groups")
  func inventory() throws {
    let json = """
      {"_meta": {"hostvars": {"a": {"x": 1, "v": {"__ansible_vault": "$A"}}, "b": {"x": 2}}},
       "all": {"children": ["ungrouped", "web"], "vars": {"all_": true}},
       "web": {"hosts": ["a", "b"], "children": ["inner"], "vars": {"w": "t"}}, "inner": {"hosts": ["b"], "vars": {"i": "s3cret"}},
       "outer": {"children": ["web"], "vars": {"o": 1}}, "far": {"children": ["inner"], "vars": {"f": "s3cret"}}}
      """
    let variables = try HostVariables(json: Array(json.utf8))
    let text = variables.inventory(of: [Host(name: "a", address: "10.0.0.1")]) { Surroundings.onHost($0) }
    let root = try MarkedYAML.parse(Array(text.utf8), file: "x", keepTags: true)["all"]
    #expect(root?["hosts"]?.entries?.map(\.key) == ["a"])
    #expect(root?["hosts"]?["a"]?["ansible_connection"]?.text == "local")
    #expect(root?["hosts"]?["a"]?["ansible_host"]?.text == "10.0.0.1")
    #expect(root?["hosts"]?["a"]?["v"]?.tag == "!vault")
    #expect(root?["children"]?["web"]?["hosts"]?.entries?.map(\.key) == ["a"])
    #expect(root?["children"]?["web"]?["vars"]?["w"]?.text == "t")
    #expect(root?["children"]?["inner"]?["hosts"] == nil)
    #expect(root?["children"]?["outer"]?["vars"]?["o"]?.text == "1")
    #expect(root?["children"]?["far"]?["children"]?["inner"] != nil)
    #expect(!text.contains("s3cret"), "variables of groups that the host is not in go nowhere")
    #expect(root?["vars"]?["all_"]?.text == "true")
  }

  @Test("A project's digest follows content, names and which files are programs")
  func digest() throws {
    func manifest(_ path: String, _ isProgram: Bool, _ digit: Character) throws -> String {
      let digest = try #require(Digest(String(repeating: digit, count: 64)))
      return ProjectManifest([.init(path: path, isProgram: isProgram, bytes: 1, digest: digest)]).text
    }
    let all = [
      try manifest("a", false, "0"), try manifest("b", false, "0"), try manifest("a", true, "0"),
      try manifest("a", false, "1"),
    ]
    #expect(Set(all).count == 4)
  }

  @Test(
    "A path that leads out of a project is refused",
    arguments: [
      "", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a\nb",
      String(repeating: "a/", count: 40) + "b",
    ])
  func paths(path: String) { #expect(ProjectManifest.flaw(ofPath: path) != nil) }

  @Test("A file whose path goes through another file is refused")
  func throughFiles() throws {
    let digest = try #require(Digest(String(repeating: "0", count: 64)))
    let entries = ["a", "a/b"].map {
      ProjectManifest.Entry(path: $0, isProgram: false, bytes: 1, digest: digest)
    }
    #expect(ProjectManifest(entries).flaw != nil)
    #expect(ProjectManifest([entries[0], entries[0]]).flaw != nil)
    #expect(ProjectManifest([entries[1]]).flaw == nil)
  }

  private func read(_ text: String) throws -> [String: PlaybookValue] {
    let path = FileManager.default.temporaryDirectory.path + "/variables-\(UUID().uuidString).yml"
    try Data(text.utf8).write(to: URL(filePath: path))
    // What can't be removed is left to the system's own cleaning.
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try Variables.file(path)
  }
}

@Suite("Passwords of vaults that Ansible finds by itself")
struct VaultSettingsTests {
  @Test(
    "A configuration file makes them where it names a file or identities",
    arguments: [
      ("[defaults]\nvault_password_file = ~/.vault\n", true), ("vault_identity_list=dev@x", true),
      ("  Vault_Password_File: x", true), ("# vault_password_file = x", false),
      ("vault_identity_list =\n  dev@~/.v,\n  prod@~/.w", true),
      ("forks = 5\n; vault_identity_list = a\n", false), ("", false),
    ])
  func files(text: String, isMade: Bool) { #expect(VaultSettings.isMade(in: text) == isMade) }

  @Test("They are looked for in the environment, beside the playbook, and where the environment says")
  func places() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/switchyard-vault-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }  // What is left is in /tmp.
    #expect(!VaultSettings.areMade(in: ["HOME": folder], folders: ["/nonexistent", folder]))
    #expect(
      VaultSettings.areMade(in: ["ANSIBLE_VAULT_PASSWORD_FILE": "x"], folders: ["/nonexistent", folder]))
    #expect(
      VaultSettings.areMade(in: ["ANSIBLE_VAULT_IDENTITY_LIST": "a@b"], folders: ["/nonexistent", folder]))
    #expect(
      !VaultSettings.areMade(in: ["ANSIBLE_VAULT_PASSWORD_FILE": ""], folders: ["/nonexistent", folder]))
    try "vault_password_file = x".write(toFile: folder + "/ansible.cfg", atomically: false, encoding: .utf8)
    #expect(VaultSettings.areMade(in: [:], folders: ["/nonexistent", folder]))
    #expect(VaultSettings.areMade(in: ["ANSIBLE_CONFIG": "ansible.cfg"], folders: [folder]))
    #expect(VaultSettings.areMade(in: ["ANSIBLE_CONFIG": "~/", "HOME": folder], folders: []))
    #expect(VaultSettings.areMade(in: ["ANSIBLE_CONFIG": "$SOMEWHERE/a.cfg"], folders: []))
    #expect(VaultSettings.areMade(in: ["ANSIBLE_CONFIG": folder], folders: ["/nonexistent"]))
    #expect(VaultSettings.areMade(in: ["ANSIBLE_CONFIG": folder + "/ansible.cfg"], folders: ["/nonexistent"]))
  }
}
