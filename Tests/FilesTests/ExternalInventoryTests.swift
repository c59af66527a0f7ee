import FoundationEssentials
import Glibc
import MarkedYAML
import Testing

@testable import Inventory

@Suite("Inventories that another program reads")
struct ExternalInventoryTests {
  static let listing = """
    {"_meta": {"hostvars": {
        "h1": {"ansible_host": "10.0.0.1", "ansible_port": 2201, "ansible_password": "Pa55w0rd", "list": [1, {"a": null}]},
        "h2": {"ansible_user": {"__ansible_unsafe": "ops"}, "switchyard_domain": null},
        "h3": {"ansible_host": {"__ansible_vault": "x"}}}, "profile": "inventory_legacy"},
     "all": {"children": ["ungrouped", "web", "db"]},
     "ungrouped": {"hosts": ["h3"]},
     "web": {"hosts": ["h2", "h1"], "children": ["inner"]}, "inner": {"hosts": ["h4"]}, "db": {"hosts": ["h1"]}}
    """

  private static func shell(_ script: String, deadline: Int = 60_000, limit: Int = 1 << 20) async
    -> ChildProgram.Outcome
  {
    await ChildProgram(
      name: "sh", arguments: ["-c", script], deadlineMilliseconds: deadline, outputLimit: limit
    ).run()
  }

  @Test("groups, order and variables of a listing are read")
  func readsListing() throws {
    var data = InventoryData()
    try ExternalInventory.read(Array(Self.listing.utf8), file: "inv.sh", into: &data)
    try data.settle()
    #expect(data.members(of: InventoryData.all).map { data.hosts[$0].name } == ["h3", "h2", "h1", "h4"])
    let first = try #require(data.host("h1"))
    #expect(data.hosts[first].variables["ansible_port"]?.node.text == "2201")
    #expect(data.hosts[first].variables["ansible_password"] == nil)
    let second = try #require(data.host("h2"))
    #expect(data.hosts[second].variables["ansible_user"]?.node.text == "ops")
    let third = try #require(data.host("h3"))
    #expect(data.hosts[third].variables["ansible_host"]?.node.tag == "!vault")
    let groups = data.groupsOfHosts()
    let fourth = try #require(data.host("h4"))
    #expect(groups[fourth].map { data.groups[$0].name } == ["all", "web", "inner"])
  }

  @Test(
    "a listing that is none is refused",
    arguments: [
      "", "[]", "{\"all\": []}", "{\"all\": {\"hosts\": [\"-x\"]}}", "{\"all\": {\"hosts\": [\"a b\"]}}", "{",
      "null",
      "{\"all\": {\"hosts\": {\"a\": 1}}}",
    ])
  func refusesListing(text: String) {
    var data = InventoryData()
    #expect(throws: FileProblems.self) {
      try ExternalInventory.read(Array(text.utf8), file: "inv.sh", into: &data)
    }
  }

  @Test("a listing whose groups are in a circle is refused")
  func refusesCircle() throws {
    var data = InventoryData()
    let text =
      #"{"all": {"children": ["a"]}, "a": {"children": ["b"]}, "b": {"children": ["a"], "hosts": ["h"]}}"#
    try ExternalInventory.read(Array(text.utf8), file: "inv.sh", into: &data)
    #expect(throws: FileProblems.self) { try data.settle() }
  }

  @Test("the program beside the ansible-runner that is named is taken, also where a link leads to it")
  func besideRunner() async throws {
    try await inFolder { folder in
      let tools = folder + "/tools"
      try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: true)
      try write("#!/bin/sh\necho \"listed $3\"\n", to: tools + "/ansible-inventory", executable: true)
      try write("", to: tools + "/ansible-runner")
      try #require(symlink(tools + "/ansible-runner", folder + "/runner") == 0)
      for runner in [tools + "/ansible-runner", folder + "/runner"] {
        let output = try await ExternalInventory.list(
          path: "inv.sh", environment: ["SWITCHYARD_ANSIBLE_RUNNER": runner])
        #expect(String(decoding: output, as: UTF8.self) == "listed inv.sh\n")
      }
    }
  }

  @Test("where the program can't be started, the error names both places to have it in")
  func noProgram() async throws {
    try await inFolder { folder in
      try write("#!/nonexistent/python\n", to: folder + "/ansible-inventory", executable: true)
      try write("", to: folder + "/ansible-runner")
      let error = await #expect(throws: FileProblems.self) {
        try await ExternalInventory.list(
          path: "inv.sh", environment: ["SWITCHYARD_ANSIBLE_RUNNER": folder + "/ansible-runner"])
      }
      let text = try #require(error).description
      #expect(text.contains("inv.sh:1:1: only the program ansible-inventory"), "\(text)")
      #expect(text.contains("on the PATH") && text.contains("SWITCHYARD_ANSIBLE_RUNNER"), "\(text)")
    }
  }

  @Test("output, errors and exit code of a program are collected")
  func collects() async {
    guard case .ended(let code, let output, let errors) = await Self.shell("echo out; echo err >&2; exit 3")
    else {
      Issue.record("it did not end")
      return
    }
    #expect(code == 3)
    #expect(String(decoding: output, as: UTF8.self) == "out\n")
    #expect(String(decoding: errors, as: UTF8.self) == "err\n")
  }

  @Test("a program that prints without end is ended")
  func boundsOutput() async {
    let outcome = await Self.shell(
      "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", limit: 100_000)
    guard case .tooMuch = outcome else {
      Issue.record("\(outcome)")
      return
    }
  }

  @Test("a program that hangs is ended with its children")
  func boundsTime() async {
    let outcome = await Self.shell("sleep 1000 & sleep 1000", deadline: 200)
    guard case .tooLong = outcome else {
      Issue.record("\(outcome)")
      return
    }
  }

  @Test("a program that is not there is said not to be there")
  func missesProgram() async {
    let program = ChildProgram(
      name: "/nonexistent/ansible-inventory", arguments: [], deadlineMilliseconds: 1000, outputLimit: 1)
    let outcome = await program.run()
    guard case .notStarted(let reason) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(reason.contains("No such file"))
  }
}
