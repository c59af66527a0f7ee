import Glibc
import HostProtocol
import RolloutModel
import Testing

@testable import HostCore

@Suite("Projects of playbooks on a host")
struct ProjectStoreTests {
  private let folder: String

  init() throws {
    var template = Array("/tmp/projects-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func manifest(_ files: [(String, String)]) throws -> (
    ProjectManifest, RolloutModel.Digest, [UInt8]
  ) {
    let entries = try files.map { path, text in
      ProjectManifest.Entry(
        path: path, isProgram: path.hasSuffix(".sh"), bytes: Int64(text.utf8.count),
        digest: try sha256(of: Array(text.utf8)))
    }
    let manifest = ProjectManifest(entries)
    let contents = manifest.entries.flatMap { entry in
      files.first { $0.0 == entry.path }.map { Array($0.1.utf8) } ?? []
    }
    return (manifest, try sha256(of: Array(manifest.text.utf8)), contents)
  }

  private func take(
    _ store: ProjectStore, _ files: [(String, String)], altering: (([UInt8]) -> [UInt8])? = nil
  ) throws -> ProjectStore.Kept {
    let (manifest, digest, contents) = try Self.manifest(files)
    var rest = (altering ?? { $0 })(contents)[...]
    return try store.take(manifest, as: digest) { count in
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }
  }

  private static let files = [("site.yml", "- hosts: all\n"), ("roles/a/run.sh", "x"), ("empty", "")]

  @Test("A project that was taken in is there, under its digest, and its programs are programs")
  func kept() throws {
    let store = try ProjectStore(path: folder)
    let digest = try Self.manifest(Self.files).1
    #expect(try store.project(digest) == nil)
    let kept = try take(store, Self.files)
    #expect(kept.path == "\(folder)/\(digest)")
    #expect(access("\(kept.path)/roles/a/run.sh", X_OK) == 0)
    #expect(access("\(kept.path)/empty", F_OK) == 0)
    #expect(try store.project(digest)?.path == kept.path)
  }

  @Test(
    "A copy that was altered is not believed, and is replaced",
    arguments: ["content", "mode", "more", "link"])
  func altered(how: String) throws {
    let store = try ProjectStore(path: folder)
    let digest = try Self.manifest(Self.files).1
    let path = try take(store, Self.files).path
    switch how {
    case "content": #expect(truncate("\(path)/site.yml", 3) == 0)
    case "mode": #expect(chmod("\(path)/site.yml", 0o755) == 0)
    case "more": #expect(symlink("x", "\(path)/roles/other") == 0)
    default:
      #expect(unlink("\(path)/empty") == 0)
      #expect(symlink("site.yml", "\(path)/empty") == 0)
    }
    #expect(try store.project(digest) == nil)
    _ = try take(store, Self.files)
    #expect(try store.project(digest) != nil)
  }

  @Test("An altered copy that a run still uses stays")
  func inUse() throws {
    let store = try ProjectStore(path: folder)
    let kept = try take(store, Self.files)
    #expect(truncate("\(kept.path)/site.yml", 3) == 0)
    #expect(throws: HostFailure.self) { try take(store, Self.files) }
    withExtendedLifetime(kept) {}
  }

  @Test("Contents that are not what the manifest says are not kept")
  func wrongContent() throws {
    let store = try ProjectStore(path: folder)
    #expect(throws: HostFailure.self) { try take(store, Self.files) { $0.map { $0 ^ 1 } } }
    #expect(throws: HostFailure.self) { try take(store, [("../out", "x")]) }
    #expect(throws: HostFailure.self) { try take(store, [("a", "x"), ("a/b", "x")]) }
    let (manifest, _, _) = try Self.manifest(Self.files)
    let other = try Self.manifest([("x", "y")]).1
    #expect(throws: HostFailure.self) { try store.take(manifest, as: other) { _ in [0] } }
  }

  @Test("Of projects that are not used, the last ones stay")
  func bounded() throws {
    let store = try ProjectStore(path: folder)
    for number in 0..<20 { _ = try take(store, [("site.yml", "\(number)")]) }
    let names = try FileTree.names(in: try FileTree.openFolder(folder))
    #expect(names.count == 8)
    #expect(try store.project(try Self.manifest([("site.yml", "19")]).1) != nil)
  }
}
