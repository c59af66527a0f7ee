import Glibc
import RolloutModel
import Testing

@testable import HostCore

extension HostTests {
  @Suite("What the store unpacks") struct StoreUnpackTests {
    @Test("an archive plain or packed by gzip, xz or zstd becomes the same release")
    func formats() throws {
      let plain = StoreFixture.good.finished
      for argv in [[], ["gzip", "-c"], ["xz", "-c"], ["zstd", "-cq"]] {
        let fixture = try StoreFixture()
        let archive = argv.isEmpty ? plain : try fixture.filtered(plain, by: argv)
        let release = try fixture.install(archive)
        #expect(try fixture.store.contains(release))
        #expect(fixture.text("releases/\(release.storeName)/etc/settings") == "a=1\n")
        #expect(fixture.remains.allSatisfy { $0.hasPrefix("store/demo/releases/") })
      }
    }

    @Test("of modes only whether a file is a program counts")
    func modes() throws {
      let fixture = try StoreFixture()
      var tar = StoreFixture.good
      tar.add("open", content: [1], mode: 0o666)
      tar.add("wide", kind: "5", mode: 0o777)
      tar.add("tool", content: [1], mode: 0o711)
      let name = "releases/\(try fixture.install(tar.finished).storeName)"
      #expect(fixture.mode(name) == 0o755)
      #expect(fixture.mode("\(name)/bin/agent") == 0o755)
      #expect(fixture.mode("\(name)/etc") == 0o755)
      #expect(fixture.mode("\(name)/etc/settings") == 0o644)
      #expect(fixture.mode("\(name)/open") == 0o644)
      #expect(fixture.mode("\(name)/wide") == 0o755)
      #expect(fixture.mode("\(name)/tool") == 0o755)
    }

    @Test("whatever the umask, the agent's user can read the release")
    func umasks() throws {
      let before = umask(0o077)
      defer { umask(before) }
      let fixture = try StoreFixture()
      let release = try fixture.install(StoreFixture.good.finished)
      try fixture.store.link(fixture.agent, .blue, to: release)
      for path in ["", "releases", "releases/\(release.storeName)", "releases/\(release.storeName)/etc"] {
        #expect(fixture.mode(path) == 0o755, "\(path)")
      }
      #expect(fixture.mode("releases/\(release.storeName)/etc/settings") == 0o644)
    }

    @Test(
      "leading folders are dropped, of entries and of hard links' targets; what vanishes with them is left out"
    )
    func stripping() throws {
      let fixture = try StoreFixture()
      var tar = TarBuilder()
      tar.add("./", kind: "5")
      tar.add("README", content: [1])
      tar.add("top-1.0/", kind: "5")
      tar.add("./top-1.0/bin/agent", content: Array("x".utf8), mode: 0o755)
      tar.add("top-1.0/bin/twin", kind: "1", target: "top-1.0/bin/agent")
      tar.add("top-1.0/lib/current", kind: "2", target: "../bin")
      let name = "releases/\(try fixture.install(tar.finished, strip: 1).storeName)"
      #expect(
        fixture.folder.listing("store/demo/\(name)").map { $0.dropFirst("store/demo/\(name)/".count) }
          == ["bin", "bin/agent", "bin/twin", "lib", "lib/current"])
      #expect(fixture.text("\(name)/lib/current/twin") == "x")
    }

    @Test("long names are understood in every way that they are written")
    func longNames() throws {
      let long = (0..<12).map { "folder-number-\($0)-with-a-long-name" }.joined(separator: "/")
      var gnu = StoreFixture.good
      gnu.long("\(long)/gnu")
      gnu.add("cut-off", content: [1], magic: "ustar  \u{0}")
      gnu.long("\(long)/gnu", kind: "K")
      gnu.add("link-to-gnu", kind: "2", target: "cut-off", magic: "ustar  \u{0}")
      var pax = StoreFixture.good
      pax.pax([("comment", "of the whole archive")], kind: "g")
      pax.pax([("mtime", "1.5"), ("path", "\(long)/päx=1\u{301}"), ("size", "3")])
      pax.add("cut-off", content: [1, 2, 3], size: Array("00000000003".utf8))
      var posix = StoreFixture.good
      posix.add("name", content: [1], prefix: "some/folders")
      for (tar, path) in [(gnu, "\(long)/gnu"), (pax, "\(long)/päx=1\u{301}"), (posix, "some/folders/name")] {
        let fixture = try StoreFixture()
        let release = try fixture.install(tar.finished)
        #expect(fixture.mode("releases/\(release.storeName)/\(path)") == 0o644)
      }
    }

    @Test("archives that the host's own tar makes, in each of its formats")
    func realArchives() throws {
      for format in ["v7", "ustar", "gnu", "posix", "oldgnu"] {
        let fixture = try StoreFixture()
        let source = try TemporaryFolder()
        _ = try FileTree.makeFolder("\(source.path)/bin")
        try source.write(Array("#!/bin/sh\n".utf8), to: "agent")
        #expect(rename("\(source.path)/agent", "\(source.path)/bin/agent") == 0)
        #expect(chmod("\(source.path)/bin/agent", 0o755) == 0)
        #expect(symlink("agent", "\(source.path)/bin/other") == 0)
        #expect(link("\(source.path)/bin/agent", "\(source.path)/bin/twin") == 0)
        let made = try HostCommand.run(
          ["tar", "-C", source.path, "--format=\(format)", "-cf", "-", "."], deadline: .seconds(20),
          outputLimit: 1 << 20)
        #expect(made.status.isSuccess)
        let release = try fixture.install(made.stdout, exec: "bin/other")
        #expect(fixture.text("releases/\(release.storeName)/bin/twin") == "#!/bin/sh\n")
      }
    }

    @Test(
      "unpacking ends at its deadline though there is always more to read; the archive needn't be sent again")
    func keepsDeadline() throws {
      let plain = StoreFixture.good.finished
      for bytes in [plain, try StoreFixture().filtered(plain, by: ["gzip", "-c"])] {
        let fixture = try StoreFixture()
        let release = try fixture.release(bytes)
        try fixture.send(bytes, of: release)
        #expect(failure { try fixture.store.finish(release, deadline: .zero) }?.code == .deadline)
        try fixture.store.finish(release)
        #expect(try fixture.store.contains(release))
      }
    }

    @Test(
      "the program must be there, a file, executable, and inside",
      arguments: [
        "bin/missing", "etc/settings", "bin", "../agent", "/bin/sh", ".", "bin/../bin/agent", "",
      ])
    func program(exec: String) throws {
      let fixture = try StoreFixture()
      let refused = failure { _ = try fixture.install(StoreFixture.good.finished, exec: exec) }
      #expect(refused?.code == .archiveRefused)
      #expect(fixture.remains.isEmpty)
    }
  }
}
