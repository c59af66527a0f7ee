import Glibc
import RolloutModel
import Testing

@testable import HostCore

/// An archive that must not be unpacked, and a word that the refusal must hold.
struct HostileArchive: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let word: String
  let make: @Sendable () -> [UInt8]

  init(_ name: String, saying word: String, _ change: @escaping @Sendable (inout TarBuilder) -> Void) {
    self.init(testDescription: name, word: word) {
      var tar = StoreFixture.good
      change(&tar)
      return tar.finished
    }
  }

  static func of(
    _ name: String, saying word: String, _ bytes: @escaping @Sendable (inout TarBuilder) -> [UInt8]
  ) -> HostileArchive {
    HostileArchive(testDescription: name, word: word) {
      var tar = StoreFixture.good
      return bytes(&tar)
    }
  }

  private init(testDescription: String, word: String, make: @escaping @Sendable () -> [UInt8]) {
    self.testDescription = testDescription
    self.word = word
    self.make = make
  }
}

private let escapes: [HostileArchive] = [
  HostileArchive("an absolute path", saying: "absolute") { $0.add("/tmp/switchyard-evil", content: [1]) },
  HostileArchive("an absolute folder", saying: "absolute") { $0.add("//tmp//x/", kind: "5") },
  HostileArchive("an absolute path by pax", saying: "absolute") {
    $0.pax([("path", "/tmp/switchyard-evil")])
    $0.add("harmless", content: [1])
  },
  HostileArchive("an absolute path by GNU's long name", saying: "absolute") {
    $0.long("/tmp/switchyard-evil")
    $0.add("harmless", content: [1], magic: "ustar  \u{0}")
  },
  HostileArchive("up and out", saying: "..") { $0.add("../evil", content: [1]) },
  HostileArchive("up and out from within", saying: "..") { $0.add("bin/../../evil", content: [1]) },
  HostileArchive("up within the tree", saying: "..") { $0.add("bin/../evil", content: [1]) },
  HostileArchive("up by its prefix", saying: "..") { $0.add("evil", content: [1], prefix: "../..") },
  HostileArchive("a folder of two dots", saying: "..") { $0.add("bin/..", kind: "5") },
  HostileArchive("a link to an absolute path", saying: "absolute") { $0.add("l", kind: "2", target: "/etc") },
  HostileArchive("a link up and out", saying: "lead out") { $0.add("l", kind: "2", target: "../evil") },
  HostileArchive("a link up and out from a folder", saying: "lead out") {
    $0.add("bin/l", kind: "2", target: "../../evil")
  },
  HostileArchive("a link through another link", saying: "lead out") {
    $0.add("here", kind: "2", target: ".")
    $0.add("l", kind: "2", target: "here/../evil")
  },
  HostileArchive("a link by GNU's long name", saying: "lead out") {
    $0.long("../" + String(repeating: "e", count: 120), kind: "K")
    $0.add("l", kind: "2", target: "bin", magic: "ustar  \u{0}")
  },
  HostileArchive("a link by pax", saying: "absolute") {
    $0.pax([("linkpath", "/etc/passwd")])
    $0.add("l", kind: "2", target: "bin")
  },
  HostileArchive("a link to nothing", saying: "no name") { $0.add("l", kind: "2") },
  HostileArchive("a link with control characters", saying: "control") {
    $0.add("l", kind: "2", target: "a\u{1b}[2J")
  },
  HostileArchive("a file through a link", saying: "goes through") {
    $0.add("d", kind: "2", target: "bin")
    $0.add("d/evil", content: [1])
  },
  HostileArchive("a file through a file", saying: "goes through") { $0.add("bin/agent/evil", content: [1]) },
  HostileArchive("a hard link out", saying: "..") { $0.add("h", kind: "1", target: "../../etc/passwd") },
  HostileArchive("a hard link to an absolute path", saying: "absolute") {
    $0.add("h", kind: "1", target: "/etc/passwd")
  },
  HostileArchive("a hard link to what is not there", saying: "no file unpacked") {
    $0.add("h", kind: "1", target: "later")
    $0.add("later", content: [1])
  },
  HostileArchive("a hard link to a link", saying: "no file unpacked") {
    $0.add("l", kind: "2", target: "bin")
    $0.add("h", kind: "1", target: "l")
  },
  HostileArchive("a hard link to a folder", saying: "no file unpacked") {
    $0.add("h", kind: "1", target: "bin")
  },
]

private let kinds: [HostileArchive] = [
  HostileArchive("a character device", saying: "device") { $0.add("null", kind: "3") },
  HostileArchive("a block device", saying: "device") { $0.add("disk", kind: "4") },
  HostileArchive("a named pipe", saying: "pipe") { $0.add("pipe", kind: "6") },
  HostileArchive("a sparse file", saying: "sparse") { $0.add("sparse", kind: "S") },
  HostileArchive("a sparse file by pax", saying: "sparse") {
    $0.pax([("GNU.sparse.major", "1")])
    $0.add("sparse", content: [1])
  },
  HostileArchive("a part of several volumes", saying: "unknown kind") { $0.add("part", kind: "M") },
  HostileArchive("an unknown kind", saying: "unknown kind") { $0.add("odd", kind: "Z") },
  HostileArchive("a setuid program", saying: "setuid") { $0.add("su", content: [1], mode: 0o4755) },
  HostileArchive("a setgid folder", saying: "setgid") { $0.add("d", kind: "5", mode: 0o2755) },
  HostileArchive("a sticky folder", saying: "sticky") { $0.add("d", kind: "5", mode: 0o1777) },
  HostileArchive("a file that becomes a folder", saying: "place") { $0.add("bin/agent", kind: "5") },
  HostileArchive("a folder that becomes a file", saying: "place") { $0.add("bin", content: [1]) },
  HostileArchive("a folder that becomes a link", saying: "place") { $0.add("bin", kind: "2", target: "etc") },
  HostileArchive("a file twice", saying: "twice") { $0.add("bin/agent", content: [1], mode: 0o755) },
  HostileArchive("a link that becomes a file", saying: "twice") {
    $0.add("l", kind: "2", target: "bin/agent")
    $0.add("l", content: [1])
  },
]

private let names: [HostileArchive] = [
  HostileArchive("a name with a line's end", saying: "control") { $0.add("a\nb", content: [1]) },
  HostileArchive("a name with an escape", saying: "control") { $0.add("a\u{1b}[31m", content: [1]) },
  HostileArchive("a name with a zero byte", saying: "control") {
    $0.pax([("path", "a\u{0}b")])
    $0.add("a", content: [1])
  },
  HostileArchive("a name that is no text", saying: "UTF-8") {
    $0.add(name: [0x61, 0xff, 0xfe], content: [1])
  },
  HostileArchive("no name", saying: "no name") { $0.add("", content: [1]) },
  HostileArchive("a component that is too long", saying: "255") {
    $0.pax([("path", String(repeating: "a", count: 256))])
    $0.add("a", content: [1])
  },
  HostileArchive("a path that is too long", saying: "1024") {
    $0.pax([("path", String(repeating: "abcdefg/", count: 129))])
    $0.add("a", content: [1])
  },
  HostileArchive("too many folders within each other", saying: "deep") {
    $0.pax([("path", String(repeating: "a/", count: 64) + "b")])
    $0.add("a", content: [1])
  },
]

private let damages: [HostileArchive] = [
  HostileArchive("a wrong checksum", saying: "checksum") { $0.add("a", content: [1], checksum: 1) },
  HostileArchive("a size that is no number", saying: "number") {
    $0.add("a", content: [1], size: Array("9zzzzzzzzzz".utf8))
  },
  HostileArchive("a size below nothing", saying: "number") {
    $0.add("a", content: [1], size: [UInt8](repeating: 0xff, count: 12))
  },
  HostileArchive("a size beyond all bounds", saying: "more than") {
    $0.add("a", content: [1], size: [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
  },
  HostileArchive("a long name of megabytes", saying: "2000000 bytes") {
    $0.add("@", kind: "L", content: [UInt8](repeating: 0x61, count: 2_000_000))
    $0.add("a", content: [1])
  },
  HostileArchive("a long name and no entry", saying: "without an entry") { $0.long("name") },
  HostileArchive("a pax header with a wrong length", saying: "pax") {
    $0.add("x", kind: "x", content: Array("99 path=a\n".utf8))
  },
  HostileArchive("a pax header with a length below nothing", saying: "pax") {
    $0.add("x", kind: "x", content: Array("-9 path=a\n".utf8))
  },
  HostileArchive("a pax header without a value", saying: "pax") {
    $0.add("x", kind: "x", content: Array("9 pathaa\n".utf8))
  },
  HostileArchive("a pax size below nothing", saying: "pax") { $0.pax([("size", "-1")]) },
  HostileArchive("one name for all entries", saying: "all of its entries") {
    $0.pax([("path", "everything")], kind: "g")
  },
  HostileArchive.of("cut off in its content", saying: "cut off") { tar in
    tar.add("big", content: [UInt8](repeating: 1, count: 4000))
    return Array(tar.bytes.dropLast(2000))
  },
  HostileArchive.of("cut off in a header", saying: "cut off") { tar in Array(tar.bytes + [1, 2, 3]) },
  HostileArchive.of("without its end mark", saying: "end mark") { tar in tar.bytes },
  HostileArchive.of("with half of its end mark", saying: "half") { tar in
    tar.bytes + [UInt8](repeating: 0, count: 512)
  },
  HostileArchive.of("going on after its end", saying: "goes on") { tar in tar.finished + tar.finished
  },
  HostileArchive.of("no archive at all", saying: "no tar") { _ in Array("#!/bin/sh\n".utf8) },
  HostileArchive.of("a zip file", saying: "no tar") { _ in
    [0x50, 0x4b, 3, 4] + [UInt8](repeating: 7, count: 600)
  },
  HostileArchive.of("one byte", saying: "no tar") { _ in [0x1f] },
  HostileArchive.of("nothing but an end mark", saying: "no tar") { _ in TarBuilder().finished
  },
  HostileArchive.of("gzip's first bytes and nonsense", saying: "gzip") { _ in
    [0x1f, 0x8b, 8, 0] + [UInt8](repeating: 9, count: 90)
  },
  HostileArchive.of("xz's first bytes and nonsense", saying: "xz") { _ in
    [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0] + [UInt8](repeating: 9, count: 90)
  },
  HostileArchive.of("zstd's first bytes and nonsense", saying: "zstd") { _ in
    [0x28, 0xb5, 0x2f, 0xfd] + [UInt8](repeating: 9, count: 90)
  },
]

extension HostTests {
  @Suite("What the store refuses") struct StoreHostileTests {
    @Test("is refused with the reason, and leaves nothing", arguments: escapes + kinds + names + damages)
    func refused(_ hostile: HostileArchive) throws {
      let fixture = try StoreFixture()
      let before = fixture.folder.listing()
      let refused = failure { _ = try fixture.install(hostile.make()) }
      #expect(refused?.code == .archiveRefused)
      #expect(refused?.message.contains(hostile.word) == true, "\(refused?.message ?? "not refused")")
      #expect(refused?.message.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f } == true)
      #expect(fixture.remains.isEmpty)
      let added = fixture.folder.listing().filter { !before.contains($0) }
      #expect(added.allSatisfy { $0.hasPrefix("store") })
      #expect(access("/tmp/switchyard-evil", F_OK) != 0)
    }

    @Test("a link that stays inside only as long as leading folders do is refused after they are dropped")
    func strippedLink() throws {
      let fixture = try StoreFixture()
      var tar = TarBuilder()
      tar.add("top/bin/agent", content: [1], mode: 0o755)
      tar.add("top/bin/l", kind: "2", target: "../../top/bin")
      #expect(failure { _ = try fixture.install(tar.finished, strip: 1) }?.code == .archiveRefused)
      _ = try fixture.install(tar.finished, exec: "top/bin/agent")
    }

    @Test("dropping more folders than there are leaves nothing, and is refused")
    func strippedAway() throws {
      let fixture = try StoreFixture()
      let refused = failure { _ = try fixture.install(StoreFixture.good.finished, strip: 5) }
      #expect(refused?.message.contains("nothing is left") == true)
    }

    @Test("a packed archive that is damaged or cut off is refused", arguments: ["gzip", "xz", "zstd"])
    func damagedStream(program: String) throws {
      let fixture = try StoreFixture()
      let packed = try fixture.filtered(
        StoreFixture.good.finished, by: program == "zstd" ? ["zstd", "-cq", "--check"] : [program, "-c"])
      for cut in [1, 4, 9] {
        let refused = failure { _ = try fixture.install(Array(packed.dropLast(cut))) }
        #expect(refused?.code == .archiveRefused)
      }
      var flipped = packed
      flipped[packed.count - 5] ^= 0x40
      #expect(failure { _ = try fixture.install(flipped) }?.code == .archiveRefused)
      #expect(fixture.remains.isEmpty)
    }

    @Test("an archive that grows beyond its bound is stopped there, however it is packed")
    func bomb() throws {
      final class Endless: ByteSource {
        func read(limit: Int) -> [UInt8] { [UInt8](repeating: 0x30, count: limit) }
      }
      var reader = BoundedReader(Endless(), limit: 1 << 20)
      let refused = failure { while true { _ = try reader.some(1 << 16) } }
      #expect(refused?.code == .archiveRefused)
      #expect(reader.total <= (1 << 20) + (128 << 10))
    }

    @Test("cut at any place, an archive is refused and leaves nothing")
    func truncations() throws {
      let fixture = try StoreFixture()
      var tar = StoreFixture.good
      tar.long("a/b/c")
      tar.add("x", content: [UInt8](repeating: 7, count: 700), magic: "ustar  \u{0}")
      let whole = tar.finished
      for length in stride(from: 0, to: whole.count - 1, by: 131) {
        let refused = failure { _ = try fixture.install(Array(whole.prefix(length))) }
        #expect(refused?.code == (length == 0 ? .notFound : .archiveRefused), "cut at \(length)")
        #expect(fixture.remains.isEmpty)
      }
    }

    @Test("with any byte changed, an archive is unpacked inside its folder or refused, and never half")
    func byteFlips() throws {
      let fixture = try StoreFixture()
      let before = fixture.folder.listing()
      var tar = StoreFixture.good
      tar.pax([("path", "some/where")])
      tar.add("x", content: [1, 2, 3])
      tar.add("link", kind: "2", target: "some/where")
      let whole = tar.finished
      var random = SystemRandomNumberGenerator()
      for _ in 0..<300 {
        var changed = whole
        let place = Int.random(in: 0..<(whole.count - 1024), using: &random)
        changed[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
        do {
          _ = try fixture.install(changed)
          try fixture.store.remove(fixture.agent)
        } catch let refused as HostFailure {
          #expect(refused.code == .archiveRefused, "byte \(place): \(refused.message)")
          #expect(fixture.remains.isEmpty, "byte \(place)")
        }
      }
      let added = fixture.folder.listing().filter { !before.contains($0) && !$0.hasPrefix("store") }
      #expect(added.isEmpty)
    }
  }
}
