import Glibc
import RolloutModel
import Testing

@testable import HostCore

extension HostTests {
  @Suite("How an archive comes into the store") struct StoreUploadTests {
    @Test("an upload that was cut off goes on where it stopped")
    func resume() throws {
      let fixture = try StoreFixture()
      let archive = StoreFixture.good.finished
      let release = try fixture.release(archive)
      #expect(try fixture.store.have(release) == 0)
      try fixture.store.append(release, Array(archive.prefix(700)))
      #expect(try fixture.store.have(release) == 700)
      #expect(try !fixture.store.contains(release))
      try fixture.store.append(release, Array(archive.dropFirst(700)))
      try fixture.store.finish(release)
      #expect(try fixture.store.have(release) == Int64(archive.count))
      #expect(try fixture.store.contains(release))
      try fixture.store.finish(release)
      #expect(fixture.folder.listing("store/demo/incoming").isEmpty)
    }

    @Test("nothing is unpacked of an archive with another digest, and it is removed")
    func digest() throws {
      let fixture = try StoreFixture()
      var archive = StoreFixture.good.finished
      let release = try fixture.release(archive)
      archive[600] ^= 1
      try fixture.send(archive, of: release)
      let refused = failure { try fixture.store.finish(release) }
      #expect(refused?.code == .digestMismatch)
      #expect(refused?.message.contains(release.archive.hex) == true)
      #expect(fixture.remains.isEmpty)
    }

    @Test("an archive that is shorter or longer than announced is refused")
    func length() throws {
      let fixture = try StoreFixture()
      let archive = StoreFixture.good.finished
      let release = try fixture.release(archive)
      try fixture.send(Array(archive.dropLast(512)), of: release)
      #expect(failure { try fixture.store.finish(release) }?.code == .digestMismatch)
      #expect(fixture.remains.isEmpty)
      try fixture.send(archive, of: release)
      #expect(failure { try fixture.store.append(release, [0]) }?.code == .digestMismatch)
      #expect(fixture.remains.isEmpty)
      #expect(failure { try fixture.store.finish(release) }?.code == .notFound)
    }

    @Test("a link in the place of the archive is not followed")
    func planted() throws {
      let fixture = try StoreFixture()
      let archive = StoreFixture.good.finished
      let release = try fixture.release(archive)
      try fixture.folder.write(archive, to: "elsewhere")
      _ = try FileTree.makeFolder("\(fixture.folder.path)/store/demo/incoming")
      let part = "\(fixture.folder.path)/store/demo/incoming/\(release.archive.hex).part"
      #expect(symlink("\(fixture.folder.path)/elsewhere", part) == 0)
      #expect(try fixture.store.have(release) == 0)
      try fixture.send(archive, of: release)
      try fixture.store.finish(release)
      #expect(ProcFiles.text("\(fixture.folder.path)/elsewhere")?.utf8.count == archive.count)
    }

    @Test("two archives whose digests begin alike are told apart")
    func likeDigests() throws {
      let fixture = try StoreFixture()
      let release = try fixture.install(StoreFixture.good.finished)
      var other = release
      other.archive = try #require(Digest(release.archive.short + String(repeating: "0", count: 52)))
      #expect(other.storeName == release.storeName)
      #expect(failure { _ = try fixture.store.contains(other) }?.code == .digestMismatch)
    }

    @Test("a slot's link follows the release, and goes")
    func links() throws {
      let fixture = try StoreFixture()
      let first = try fixture.install(StoreFixture.good.finished)
      var tar = StoreFixture.good
      tar.add("new", content: [1])
      let second = try fixture.install(tar.finished)
      try fixture.store.link(fixture.agent, .blue, to: first)
      #expect(fixture.text("blue/new") == nil)
      try fixture.store.link(fixture.agent, .blue, to: second)
      try fixture.store.link(fixture.agent, .blue, to: second)
      #expect(fixture.text("blue/new") != nil)
      try fixture.store.unlink(fixture.agent, .blue)
      try fixture.store.unlink(fixture.agent, .blue)
      #expect(fixture.text("blue/bin/agent") == nil)
      let absent = try fixture.release([1, 2, 3])
      #expect(failure { try fixture.store.link(fixture.agent, .green, to: absent) }?.code == .notFound)
      #expect(fixture.folder.listing("store/demo").filter { $0.contains("green") }.isEmpty)
    }

    @Test("garbage goes; what slots or the caller need stays")
    func garbage() throws {
      let fixture = try StoreFixture()
      let linked = try fixture.install(StoreFixture.good.finished)
      var tar = StoreFixture.good
      tar.add("a", content: [1])
      let kept = try fixture.install(tar.finished)
      tar.add("b", content: [2])
      let loose = try fixture.install(tar.finished)
      try fixture.store.link(fixture.agent, .green, to: linked)
      let coming = try fixture.release([1, 2, 3])
      try fixture.store.append(coming, [1])
      let given = try fixture.release([4, 5, 6])
      try fixture.store.append(given, [4])
      _ = try FileTree.makeFolder("\(fixture.folder.path)/store/demo/releases/.broken.new/inner")
      try fixture.store.collectGarbage(fixture.agent, keeping: [kept, coming])
      #expect(try fixture.store.contains(linked))
      #expect(try fixture.store.contains(kept))
      #expect(try !fixture.store.contains(loose))
      #expect(try fixture.store.have(coming) == 1)
      #expect(try fixture.store.have(given) == 0)
      #expect(fixture.remains.filter { $0.contains(".broken") || $0.contains(loose.storeName) }.isEmpty)
      try fixture.store.remove(fixture.agent)
      try fixture.store.remove(fixture.agent)
      #expect(fixture.folder.listing("store").isEmpty)
    }

    @Test("a full disk is told, and given back")
    func diskFull() throws {
      try #require(geteuid() == 0, "needs root, to mount a small file system")
      let mount = try TemporaryFolder()
      let mounted = try HostCommand.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount.path], deadline: .seconds(10))
      try #require(mounted.status.isSuccess, "\(mounted.lastWords)")
      defer { umount2(mount.path, Int32(MNT_DETACH)) }
      let fixture = try StoreFixture(root: "\(mount.path)/store")
      // Random bytes for what does not shrink, zeros for what does.
      let random = (0..<3_000_000).map { _ in UInt8.random(in: 0...255) }
      let big = try fixture.release(random)
      #expect(failure { try fixture.send(random, of: big) }?.code == .diskFull)
      var tar = StoreFixture.good
      tar.add("half", content: Array(random.prefix(1_200_000)))
      let half = try fixture.release(tar.finished)
      try fixture.send(tar.finished, of: half)
      #expect(failure { try fixture.store.finish(half) }?.code == .diskFull)
      tar = StoreFixture.good
      tar.add("zeros", content: [UInt8](repeating: 0, count: 4_000_000))
      let shrunk = try fixture.filtered(tar.finished, by: ["gzip", "-c"])
      let zeros = try fixture.release(shrunk)
      try fixture.send(shrunk, of: zeros)
      #expect(failure { try fixture.store.finish(zeros) }?.code == .diskFull)
      #expect(mount.listing() == ["store", "store/demo", "store/demo/incoming", "store/demo/releases"])
      _ = try fixture.install(StoreFixture.good.finished)
    }
  }
}
