import Glibc
import RolloutModel
import Testing

@testable import HostCore

extension HostTests {
  @Suite("Traffic by other means, and what nft lists") struct TrafficOtherTests {
    @Test("no driver moves nothing and claims nothing")
    func none() throws {
      let setup = try trafficSetup(driver: .none)
      let traffic = trafficDriver(for: setup, memory: NftMemory())
      try traffic.move(setup, to: .green)
      #expect(try traffic.observe(setup) == TrafficView(owner: nil, isKnown: false))
      #expect(try traffic.holds(setup, owner: .blue))
      #expect(traffic.obstacle(setup) == nil)
    }

    @Test("a command is told side and port, and asked for the owner")
    func command() throws {
      let folder = try TemporaryFolder()
      try folder.write(Array("none\n".utf8), to: "owner")
      let program = try script(
        in: folder,
        """
        case "$1" in
        owner) cat \(folder.path)/owner ;;
        to) echo "$2 $3" >> \(folder.path)/log; echo "$2" > \(folder.path)/owner ;;
        esac
        """)
      let setup = try trafficSetup(driver: .command(argv: [program]))
      let traffic = trafficDriver(for: setup, memory: NftMemory())
      #expect(traffic.obstacle(setup) == nil)
      #expect(try traffic.observe(setup) == TrafficView(owner: nil))
      for side in [Side.blue, .green, .adopted] {
        try traffic.move(setup, to: side)
        #expect(try traffic.observe(setup) == TrafficView(owner: side))
      }
      try traffic.remove(setup)
      #expect(ProcFiles.text("\(folder.path)/log") == "blue 7001\ngreen 7002\nadopted 8400\nnone 0\n")
    }

    @Test(
      "a command that fails, lies or talks nonsense is a failure that names it",
      arguments: [
        "echo no way >&2; exit 3", "echo blue", "echo purple", "echo", "exit 0",
      ])
    func badCommand(text: String) throws {
      let folder = try TemporaryFolder()
      let setup = try trafficSetup(driver: .command(argv: [try script(in: folder, text)]))
      let refused = failure { try trafficDriver(for: setup, memory: NftMemory()).move(setup, to: .green) }
      #expect(refused?.code == .trafficFailed)
      #expect(refused?.message.contains(folder.path) == true)
    }

    @Test("a command that is not there is an obstacle")
    func missingCommand() throws {
      let setup = try trafficSetup(driver: .command(argv: ["/no/such/program"]))
      #expect(
        trafficDriver(for: setup, memory: NftMemory()).obstacle(setup)?.contains("/no/such/program") == true)
    }

    @Test("newer versions of nft write flags differently: it is the same rule")
    func flagsAsNestedOr() throws {
      let nested = #"{"|": [{"|": [{"|": ["fin", "syn"]}, "rst"]}, "ack"]}"#
      let listing = try NftListing(
        Array(Self.listing(flags: nested).utf8), of: NftRuleset(try trafficSetup()))
      #expect(listing.oddities.isEmpty)
      #expect(listing.port == 7001)
    }

    @Test(
      "a rule that matches other packets, or does more, is not ours",
      arguments: [
        (#"["syn", "ack"]"#, #""syn""#, #"{"port": 7001}"#),
        (#"["fin", "syn", "rst", "ack"]"#, #""ack""#, #"{"port": 7001}"#),
        (#"["fin", "syn", "rst", "ack"]"#, #""syn""#, #"{"port": 7001, "addr": "10.0.0.1"}"#),
        (#"["fin", "syn", "rst", "ack"]"#, #""syn""#, #"{"port": {"range": [1, 2]}}"#),
        (#"["fin", "syn", "rst", "ack"]"#, #""syn""#, #"{"port": 7001.5}"#),
      ])
    func foreignRules(flags: String, set: String, translation: String) throws {
      let text = Self.listing(flags: flags, set: set, translation: translation)
      let listing = try NftListing(Array(text.utf8), of: NftRuleset(try trafficSetup()))
      #expect(listing.oddities.count == 2)
      #expect(listing.port == nil)
    }

    @Test("what is no listing is a failure", arguments: ["", "[]", "{", "{\"nftables\": 1}", "null"])
    func noListing(text: String) throws {
      let setup = try trafficSetup()
      #expect(failure { _ = try NftListing(Array(text.utf8), of: NftRuleset(setup)) }?.code == .trafficFailed)
    }

    @Test("a table's name holds no hyphen, and is unique for each agent")
    func tableNames() throws {
      let name = try #require(AgentName("a-b-2"))
      #expect(NftRuleset.table(of: name) == "switchyard_a_b_2")
    }

    private func script(in folder: TemporaryFolder, _ text: String) throws -> String {
      try folder.write(Array("#!/bin/sh\n\(text)\n".utf8), to: "text")
      // Written by another process: a program that other tests start just now would hold it open for writing, and so keep it from
      // being started.
      let made = try HostCommand.run(
        ["install", "-m", "755", "\(folder.path)/text", "\(folder.path)/program"], deadline: .seconds(60))
      #expect(made.status.isSuccess)
      return "\(folder.path)/program"
    }

    private static func listing(
      flags: String, set: String = #""syn""#, translation: String = #"{"port": 7001}"#
    ) -> String {
      let chains = ["prerouting", "output"].map {
        #"{"chain": {"name": "\#($0)", "type": "nat", "hook": "\#($0)", "prio": -105, "policy": "accept"}}"#
      }
      let rules = ["prerouting", "output"].map { chain in
        let mark = #"{"match": {"op": "!=", "left": {"meta": {"key": "mark"}}, "right": 1398233412}}"#
        let expressions =
          (chain == "output" ? [mark] : []) + [
            match(payload("dport"), "8400"), match(#"{"&": [\#(payload("flags")), \#(flags)]}"#, set),
            match(#"{"fib": {"result": "type", "flags": ["daddr"]}}"#, #""local""#),
            #"{"dnat": \#(translation)}"#,
          ]
        return
          #"{"rule": {"chain": "\#(chain)", "handle": 7, "expr": [\#(expressions.joined(separator: ", "))]}}"#
      }
      let hold = [
        #"{"chain": {"name": "hold"}}"#,
        #"{"rule": {"chain": "hold", "expr": [{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "new"}}]}}"#,
      ]
      let items = [#"{"metainfo": {"version": "1.1.0"}}"#, #"{"table": {"name": "switchyard_demo"}}"#]
      return #"{"nftables": [\#((items + chains + rules + hold).joined(separator: ", "))]}"#
    }

    private static func payload(_ field: String) -> String {
      #"{"payload": {"protocol": "tcp", "field": "\#(field)"}}"#
    }

    private static func match(_ left: String, _ right: String) -> String {
      #"{"match": {"op": "==", "left": \#(left), "right": \#(right)}}"#
    }
  }
}
