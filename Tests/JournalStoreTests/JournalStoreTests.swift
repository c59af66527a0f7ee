import FoundationEssentials
import Glibc
import Ports
import RolloutModel
import Testing

@testable import JournalStore

@Suite struct JournalStoreTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test("What is appended is read back, numbered from 1 without a gap, the plan first")
  func roundTrip() async throws {
    let store = try scratch.makeStore()
    let plan = try makePlan("r-1", hosts: 3)
    try await store.create(plan, wall: 100)
    try await store.append([entry(2), entry(3)], to: "r-1", wall: 200)
    try await store.append([entry(4)], to: "r-1", wall: 300)
    let records = try await store.records(of: "r-1", limit: 100)
    #expect(records.map(\.sequence) == [1, 2, 3, 4])
    #expect(records.map(\.wall) == [100, 200, 200, 300])
    #expect(records.map(\.entry) == [.plan(plan), entry(2), entry(3), entry(4)])
  }

  @Test("Pages join to the whole, and the page behind the end is empty")
  func pages() async throws {
    let store = try scratch.makeStore()
    try await store.create(try makePlan("r-1"), wall: 0)
    try await store.append((2...10).map { entry($0) }, to: "r-1", wall: 0)
    var all: [Int64] = []
    var sizes: [Int] = []
    while true {
      let page = try await store.records(of: "r-1", after: all.last ?? 0, limit: 4)
      sizes.append(page.count)
      guard !page.isEmpty else { break }
      all += page.map(\.sequence)
    }
    #expect(all == Array(1...10))
    #expect(sizes == [4, 4, 2, 0])
    #expect(try await store.records(of: "r-1", after: 99, limit: 4).isEmpty)
    #expect(try await store.records(of: "r-1", after: -5, limit: 1).map(\.sequence) == [1])
    #expect(try await store.records(of: "r-1", limit: 0).isEmpty)
    #expect(try await store.records(of: "r-1", limit: -1).isEmpty)
    #expect(try await store.records(of: "r-1", limit: Int.max).count == 10)
  }

  @Test("An ID is used once; what is there stays as it was")
  func takenID() async throws {
    let store = try scratch.makeStore()
    try await store.create(try makePlan("r-1"), wall: 0)
    let error = await #expect(throws: JournalError.self) {
      try await store.create(try makePlan("r-1", hosts: 5), wall: 0)
    }
    #expect(error?.message == "there is a rollout r-1 already")
    #expect(try await store.records(of: "r-1", limit: 10).count == 1)
    #expect(try await store.rollouts().count == 1)
  }

  @Test(
    "An ID that can't stand in a path is refused",
    arguments: [
      "", ".", "..", "../x", "a/b", "-a", ".a", "a b", "a\n", "ä", "a_b", String(repeating: "a", count: 129),
    ])
  func hostileID(id: String) async throws {
    let store = try scratch.makeStore()
    await #expect(throws: JournalError.self) { try await store.create(try makePlan(id), wall: 0) }
    #expect(throws: JournalError.self) {
      try RolloutLock(rollout: id, directory: scratch.state, holder: .current(wall: 0))
    }
    #expect(throws: JournalError.self) { try RolloutLock.holder(of: id, directory: scratch.state) }
    #expect(try await store.rollouts().isEmpty)
  }

  @Test("Nothing is appended to, noted of or read from a rollout that is not there")
  func unknownRollout() async throws {
    let store = try scratch.makeStore()
    await #expect(throws: JournalError.self) { try await store.append([entry(1)], to: "x", wall: 0) }
    await #expect(throws: JournalError.self) { try await store.note(.paused, of: "x") }
    let error = await #expect(throws: JournalError.self) {
      try await store.records(of: "x\u{1b}[2J", limit: 1)
    }
    #expect(error?.message.contains("x\\u{1b}[2J") == true)
    #expect(try await store.rollouts(.newest).isEmpty)
    #expect(try await store.rollouts(.named("x")).isEmpty)
  }

  @Test("Rollouts are listed newest first, with their last number and the state last noted")
  func lists() async throws {
    let store = try scratch.makeStore()
    for number in 1...3 { try await store.create(try makePlan("r-\(number)"), wall: Int64(10 * number)) }
    try await store.append([entry(2)], to: "r-2", wall: 0)
    try await store.note(.awaitingApproval, of: "r-2")
    let all = try await store.rollouts()
    #expect(all.map(\.id) == ["r-3", "r-2", "r-1"])
    #expect(all.map(\.createdAt) == [30, 20, 10])
    #expect(all.map(\.lastSequence) == [1, 2, 1])
    #expect(all.map(\.state) == [nil, .awaitingApproval, nil])
    #expect(try await store.rollouts(.newest) == [all[0]])
    #expect(try await store.rollouts(.named("r-2")) == [all[1]])
    #expect(all[0].agent == "demo" && all[0].version == "2.0.0" && all[0].policy == "canary")
  }

  @Test("A journal that is opened again goes on where it ended")
  func reopened() async throws {
    for round in 1...3 {
      let store = try scratch.makeStore()
      if round == 1 { try await store.create(try makePlan("r-1"), wall: 0) }
      try await store.append([entry(round)], to: "r-1", wall: 0)
    }
    let records = try await scratch.makeStore().records(of: "r-1", limit: 10)
    #expect(records.map(\.sequence) == [1, 2, 3, 4])
    #expect(records.dropFirst().map(\.entry) == [entry(1), entry(2), entry(3)])
  }

  @Test("Entries of one append are all there or none")
  func oneCommit() async throws {
    let store = try scratch.makeStore()
    try await store.create(try makePlan("r-1"), wall: 0)
    try scratch.raw(
      "CREATE TRIGGER broken BEFORE INSERT ON records WHEN new.sequence = 4 BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    let error = await #expect(throws: JournalError.self) {
      try await store.append([entry(2), entry(3), entry(4)], to: "r-1", wall: 0)
    }
    #expect(error?.message.contains(scratch.state + "/journal.sqlite") == true)
    #expect(try await store.records(of: "r-1", limit: 10).count == 1)
    try scratch.raw("DROP TRIGGER broken")
    try await store.append([entry(2)], to: "r-1", wall: 0)
    #expect(try await store.records(of: "r-1", limit: 10).map(\.sequence) == [1, 2])
  }

  @Test("A cancelled task's append is whole all the same")
  func cancelled() async throws {
    let store = try scratch.makeStore()
    try await store.create(try makePlan("r-1"), wall: 0)
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      try await store.append([entry(2)], to: "r-1", wall: 0)
    }
    try await task.value
    #expect(try await store.records(of: "r-1", limit: 10).count == 2)
  }

  @Test("Several connections write at once: no record is lost, no number is used twice, every chain holds")
  func manyWriters() async throws {
    let first = try scratch.makeStore()
    for number in 0..<4 { try await first.create(try makePlan("r-\(number)"), wall: 0) }
    try await first.create(try makePlan("shared"), wall: 0)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<4 {
        let store = try scratch.makeStore()
        let reader = try JournalStore(reading: scratch.state)
        group.addTask {
          for round in 0..<25 {
            try await store.append([entry(round), entry(round)], to: "r-\(number)", wall: 0)
            try await store.append([entry(number * 100 + round)], to: "shared", wall: 0)
            let seen = try await reader.records(of: "r-\(number)", limit: 100)
            #expect(seen.count == 1 + 2 * (round + 1))
          }
        }
      }
      try await group.waitForAll()
    }
    for number in 0..<4 { #expect(try await first.records(of: "r-\(number)", limit: 999).count == 51) }
    let shared = try await first.records(of: "shared", limit: 999)
    #expect(shared.map(\.sequence) == Array(1...101))
    let expected = Set((0..<4).flatMap { number in (0..<25).map { entry(number * 100 + $0) } })
    #expect(Set(shared.dropFirst().map(\.entry)) == expected)
  }

  @Test("Folder and file are made for their owner alone")
  func permissions() async throws {
    let store = try JournalStore(directory: scratch.path + "/a/b")
    try await store.create(try makePlan("r-1"), wall: 0)
    for (path, mode) in [("/a", 0o700), ("/a/b", 0o700), ("/a/b/journal.sqlite", 0o600)] {
      var status = stat()
      #expect(stat(scratch.path + path, &status) == 0)
      #expect(Int(status.st_mode & 0o777) == mode)
    }
    var status = stat()
    #expect(stat(scratch.path + "/a/b/journal.sqlite-wal", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
  }

  @Test("A reader makes nothing, writes nothing, and says where it looked")
  func readers() async throws {
    let error = #expect(throws: JournalError.self) { try JournalStore(reading: scratch.state) }
    #expect(error?.message.contains(scratch.state) == true)
    #expect(access(scratch.state, F_OK) != 0)
    try await scratch.makeStore().create(try makePlan("r-1"), wall: 0)
    let reader = try JournalStore(reading: scratch.state)
    #expect(try await reader.rollouts(.newest).map(\.id) == ["r-1"])
    await #expect(throws: JournalError.self) { try await reader.append([entry(2)], to: "r-1", wall: 0) }
    #expect(try await reader.records(of: "r-1", limit: 9).count == 1)
  }
}
