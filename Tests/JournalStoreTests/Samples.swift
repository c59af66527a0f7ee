import FoundationEssentials
import GRDB
import Glibc
import RolloutModel
import Testing

@testable import JournalStore

/// A folder of its own for one test, removed when the test lets go of it.
final class Scratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/switchyard-journal-XXXXXX".utf8CString)
    path = String(cString: try #require(mkdtemp(&template)))
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }  // What is left in /tmp does no harm.

  var state: String { path + "/state" }

  func makeStore() throws -> JournalStore { try JournalStore(directory: state) }

  /// Puts all of the write-ahead log into the journal's file, so that the file alone is the journal.
  func checkpoint() throws {
    try DatabaseQueue(path: StateFolder.journal(in: state)).inDatabase { db in
      let row = try #require(try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)"))
      #expect(row[0] == 0)
    }
  }

  /// The journal's tables behind the journal's back.
  func raw(_ sql: String, _ arguments: StatementArguments = []) throws {
    var configuration = Configuration()
    configuration.foreignKeysEnabled = false
    try DatabaseQueue(path: StateFolder.journal(in: state), configuration: configuration).write { db in
      try db.execute(sql: sql, arguments: arguments)
    }
  }
}

func makePlan(_ id: String, hosts: Int = 1) throws -> Plan {
  let policy = Policy(
    name: "canary",
    waves: [
      WaveDefinition(
        name: "all", hosts: .share(basisPoints: 10_000), batch: .count(1), soak: .seconds(1), approve: false)
    ],
    gate: Gate(successes: 1, interval: .seconds(1), timeout: .seconds(1), deadline: .seconds(10)),
    budget: Budget(canary: .count(0), wave: .count(0), fleet: .count(0), unreachable: .count(0)),
    onBreach: .halt, confirmWithin: .seconds(60),
    keepOld: Retention(running: .seconds(60), installed: .seconds(60)), partial: false, soakTolerance: 0)
  let agent = AgentDefinition(
    name: try #require(AgentName("demo")), user: "root", strip: 0, exec: "bin/agent", args: [],
    environment: [],
    slots: SlotPorts(blue: 7001, green: 7002), publicPort: 8400, traffic: .nftables, drain: .seconds(30),
    concurrent: true, unitTemplate: nil, adopt: nil, health: [ProbeDefinition(question: .tcp)],
    dependencies: [])
  return Plan(
    id: id, agent: agent, policy: policy,
    release: Release(version: try #require(Version("2.0.0")), archives: []),
    hosts: (0..<hosts).map { Host(name: "h\($0)", address: "10.0.0.\($0)") },
    waves: PlannedWave.waves(of: policy, total: hosts), acceptLocalProbes: false, again: nil, takeOver: nil,
    owner: "somebody@somewhere")
}

/// An entry that can be told from every other one.
func entry(_ number: Int, _ filler: String = "") -> JournalEntry {
  .event(
    StampedEvent(
      .order(Order(.pause, reason: "entry \(number)\(filler)", by: "test")),
      at: Moment(milliseconds: Int64(number)), wall: 0, chance: UInt64.max))
}
