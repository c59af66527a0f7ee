import FoundationEssentials
import GRDB
import Glibc
import Ports
import RolloutModel
import Testing

@testable import JournalStore

@Suite struct UnusableTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func opening() -> String {
    #expect(throws: JournalError.self) { try JournalStore(directory: scratch.state) }?.description ?? ""
  }

  private func put(_ text: String, at path: String) throws {
    try Data(text.utf8).write(to: URL(filePath: path))
  }

  @Test("A file where the folder should be is an error that names it")
  func fileForFolder() throws {
    try put("", at: scratch.state)
    #expect(opening().contains("\(scratch.state) is there and is no folder"))
    let below = #expect(throws: JournalError.self) { try JournalStore(directory: scratch.state + "/deeper") }
    #expect(below?.message.contains("Not a directory") == true)
    #expect(throws: JournalError.self) {
      try RolloutLock(rollout: "r-1", directory: scratch.state, holder: .current(wall: 0))
    }
  }

  @Test("A folder where the file should be is an error that names it")
  func folderForFile() throws {
    #expect(mkdir(scratch.state, 0o700) == 0)
    #expect(mkdir(scratch.state + "/journal.sqlite", 0o700) == 0)
    #expect(opening().contains("can't open the journal \(scratch.state)/journal.sqlite"))
  }

  @Test("A file that is no database is left as it is")
  func noDatabase() throws {
    #expect(mkdir(scratch.state, 0o700) == 0)
    let path = scratch.state + "/journal.sqlite"
    let text = String(repeating: "this is no database\n", count: 200)
    try put(text, at: path)
    let said = opening()
    #expect(said.contains("not a database") && said.contains(path) && said.contains("--state"))
    #expect(try Data(contentsOf: URL(filePath: path)) == Data(text.utf8))
  }

  @Test("Another program's database is left as it is")
  func otherProgram() throws {
    #expect(mkdir(scratch.state, 0o700) == 0)
    try scratch.raw("CREATE TABLE t (x)")
    #expect(opening().contains("is a database of another program"))
    #expect(throws: JournalError.self) { try JournalStore(reading: scratch.state) }
    try scratch.raw("INSERT INTO t VALUES (1)")
  }

  @Test("A journal of a newer format is refused")
  func newer() throws {
    _ = try scratch.makeStore()
    try scratch.raw("PRAGMA user_version = 2")
    #expect(opening().contains("has format 2, and this program knows formats up to 1"))
    #expect(throws: JournalError.self) { try JournalStore(reading: scratch.state) }
  }

  @Test(
    "On a read-only file system a journal is read as it lies there, and nobody may write to it meanwhile",
    .enabled(if: geteuid() == 0))
  func readOnly() async throws {
    let store = try scratch.makeStore()
    try await store.create(try makePlan("r-1"), wall: 0)
    try scratch.checkpoint()
    // A name that an address must escape.
    let still = scratch.path + "/a #b?%41ä"
    #expect(mkdir(still, 0o700) == 0)
    guard mount("none", still, "tmpfs", 0, "size=512k") == 0 else {
      // A container may not mount: then there is no such file system to be had.
      return
    }
    defer { umount2(still, Int32(MNT_DETACH)) }
    try FileManager.default.copyItem(
      atPath: StateFolder.journal(in: scratch.state), toPath: StateFolder.journal(in: still))
    #expect(mount("none", still, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), "size=512k") == 0)
    let reader = try JournalStore(reading: still)
    #expect(try await reader.records(of: "r-1", limit: 9).count == 1)
    let inspection = try await reader.inspect(.all, checkingFile: true)
    #expect(inspection.damage.isEmpty && inspection.rollouts.count == 1)
    #expect(throws: JournalError.self) { try JournalStore(directory: still) }

    #expect(mount("none", still, "tmpfs", UInt(MS_REMOUNT), "size=512k") == 0)
    try await JournalStore(directory: still).append([entry(2)], to: "r-1", wall: 0)
    let said = await #expect(throws: JournalError.self) { try await reader.records(of: "r-1", limit: 9) }
    #expect(said?.message.contains("somebody writes to the journal") == true)
  }

  @Test(
    "A full disk is said so; what was there stays, and once there is room the log goes on",
    .enabled(if: geteuid() == 0))
  func fullDisk() async throws {
    #expect(mkdir(scratch.state, 0o700) == 0)
    guard mount("none", scratch.state, "tmpfs", 0, "size=512k") == 0 else {
      // A container may not mount: then there is no full disk to be had.
      return
    }
    defer { umount2(scratch.state, Int32(MNT_DETACH)) }
    let store = try scratch.makeStore()
    try await store.create(try makePlan("r-1"), wall: 0)
    var durable = 1
    var refused: JournalError?
    for number in 2..<200 {
      do {
        try await store.append([entry(number, String(repeating: "x", count: 8000))], to: "r-1", wall: 0)
        durable += 1
      } catch {
        refused = error
        break
      }
    }
    #expect(refused?.message.contains("full") == true, "\(String(describing: refused))")
    #expect(refused?.hint.contains("free space") == true)
    #expect(try await store.records(of: "r-1", limit: 999).count == durable)
    #expect(mount("none", scratch.state, "tmpfs", UInt(MS_REMOUNT), "size=4m") == 0)
    try await store.append([entry(999)], to: "r-1", wall: 0)
    #expect(try await scratch.makeStore().records(of: "r-1", limit: 999).count == durable + 1)
  }
}

@Suite struct RolloutLockTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test("The second controller of a rollout is told who the first one is; another rollout's is let in")
  func second() throws {
    let holder = LockHolder(pid: 4711, user: "somebody", host: "here", since: 1_795_000_000_000)
    let first = try RolloutLock(rollout: "r-1", directory: scratch.state, holder: holder)
    let error = #expect(throws: JournalError.self) {
      try RolloutLock(rollout: "r-1", directory: scratch.state, holder: .current(wall: 0))
    }
    #expect(
      error?.message
        == "rollout r-1 has a controller already: somebody@here, process 4711, since 2026-11-18T11:06:40Z")
    #expect(try RolloutLock.holder(of: "r-1", directory: scratch.state) == holder)
    _ = try RolloutLock(rollout: "r-2", directory: scratch.state, holder: holder)
    #expect(try RolloutLock.holder(of: "r-2", directory: scratch.state) == nil)
    withExtendedLifetime(first) {}
  }

  @Test("Whoever looks who has a lock keeps nobody from taking it")
  func looking() async throws {
    let state = scratch.state
    let looks = Task.detached {
      while !Task.isCancelled { _ = try RolloutLock.holder(of: "r-1", directory: state) }
    }
    for _ in 0..<2000 { _ = try RolloutLock(rollout: "r-1", directory: state, holder: .current(wall: 0)) }
    looks.cancel()
    try await looks.value
  }

  @Test("A lock ends with its holder, and the next one is named in its place")
  func released() throws {
    let long = LockHolder(pid: 1, user: String(repeating: "u", count: 60), host: "h", since: 0)
    do { _ = try RolloutLock(rollout: "r-1", directory: scratch.state, holder: long) }
    #expect(try RolloutLock.holder(of: "r-1", directory: scratch.state) == nil)
    let short = LockHolder(pid: 2, user: "u", host: "h", since: 0)
    let next = try RolloutLock(rollout: "r-1", directory: scratch.state, holder: short)
    #expect(try RolloutLock.holder(of: "r-1", directory: scratch.state) == short)
    withExtendedLifetime(next) {}
  }

  @Test("Who asks about a lock that never was makes nothing")
  func never() throws {
    #expect(try RolloutLock.holder(of: "r-1", directory: scratch.state) == nil)
    #expect(access(scratch.state, F_OK) != 0)
  }

  @Test("What stands in a lock's file is not trusted", arguments: ["", "{", "garbage", #"{"pid":1}"#])
  func garbage(text: String) throws {
    let first = try RolloutLock(rollout: "r-1", directory: scratch.state, holder: .current(wall: 0))
    try Data(text.utf8).write(to: URL(filePath: StateFolder.rolloutLock(of: "r-1", in: scratch.state)))
    let error = #expect(throws: JournalError.self) {
      try RolloutLock(rollout: "r-1", directory: scratch.state, holder: .current(wall: 0))
    }
    #expect(error?.message == "rollout r-1 has a controller already: another process")
    withExtendedLifetime(first) {}
  }

  @Test("This process's own entry names it")
  func current() {
    let holder = LockHolder.current(wall: 5)
    #expect(holder.pid == getpid() && holder.since == 5)
    #expect(!holder.user.isEmpty && !holder.host.isEmpty)
  }
}
