import Glibc
import RolloutModel
import Testing

@testable import HostCore

extension HostTests {
  @Suite("Copies of the host program, and folders that go when they are empty") struct StoreCopyTests {
    private let folder: TemporaryFolder
    private let open: Descriptor

    init() throws {
      folder = try TemporaryFolder()
      open = try FileTree.openFolder(folder.path)
    }

    /// `second`: when it was written, for the kernel's own clock may give two files the same time.
    private func source(_ bytes: [UInt8], second: Int = 1_000_000) throws -> Descriptor {
      try folder.write(bytes, to: "source")
      let file = try FileTree.openFile("\(folder.path)/source")
      let time = timespec(tv_sec: second, tv_nsec: 5)
      try #require(futimens(file.number, [time, time]) == 0)
      return file
    }

    @Test("a copy is known again by its time, or by its bytes where only the time differs")
    func known() throws {
      let first = try source(Array(repeating: 7, count: 600_000))
      #expect(try !FileTree.isCopy("copy", in: open, of: first))
      try FileTree.copy(first, to: "copy", in: open, mode: 0o755)
      #expect(try FileTree.isCopy("copy", in: open, of: first))

      let again = try source(Array(repeating: 7, count: 600_000), second: 2_000_000)
      #expect(try FileTree.isCopy("copy", in: open, of: again), "the same bytes, brought anew")
      #expect(try FileTree.isCopy("copy", in: open, of: again), "its time is that of the second one now")
    }

    @Test(
      "other bytes of the same length are another program, and the whole of it is copied after the comparison"
    )
    func other() throws {
      try FileTree.copy(
        try source(Array(repeating: 7, count: 600_000)), to: "copy", in: open, mode: 0o755)
      var bytes = [UInt8](repeating: 7, count: 600_000)
      bytes[599_999] = 8
      let other = try source(bytes, second: 2_000_000)
      #expect(try !FileTree.isCopy("copy", in: open, of: other))
      try FileTree.copy(other, to: "copy", in: open, mode: 0o755)
      #expect(try HostCore.read("\(folder.path)/copy") == bytes)
    }

    @Test("a link is no copy, wherever it leads")
    func link() throws {
      let source = try source([1, 2, 3])
      try #require(symlink("source", "\(folder.path)/copy") == 0)
      #expect(try !FileTree.isCopy("copy", in: open, of: source))
    }

    @Test("a folder goes when it is empty, and stays when anything is in it")
    func emptyFolders() throws {
      _ = try FileTree.makeFolder("\(folder.path)/outer/inner")
      try FileTree.removeIfEmpty("\(folder.path)/outer")
      try FileTree.removeIfEmpty("\(folder.path)/none")
      #expect(folder.listing() == ["outer", "outer/inner"])
      try FileTree.removeIfEmpty("\(folder.path)/outer/inner")
      try FileTree.removeIfEmpty("\(folder.path)/outer")
      #expect(folder.listing().isEmpty)
    }
  }
}
