import Glibc
import RolloutModel
import Testing

@testable import HostCore

/// All tests of what touches the host: one after the other, for they share its processes, mounts and namespaces.
@Suite("Host", .serialized) enum HostTests {}

/// A folder of its own, removed at the end of its life.
final class TemporaryFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/switchyard-test-XXXXXX".utf8CString)
    let made = mkdtemp(&template)
    path = String(cString: try #require(made))
  }

  deinit {
    let name = String(path.split(separator: "/").last ?? "")
    // Nothing can be done about a folder that stays.
    _ = try? FileTree.remove(name, in: try FileTree.openFolder("/tmp"))
  }

  /// All files and folders below, by path, sorted.
  func listing(_ inner: String = "") -> [String] {
    let folder = inner.isEmpty ? path : "\(path)/\(inner)"
    // What is no folder has no names.
    guard let open = try? FileTree.openFolder(folder), let names = try? FileTree.names(in: open) else {
      return []
    }
    return names.flatMap { name -> [String] in
      let below = inner.isEmpty ? name : "\(inner)/\(name)"
      return [below] + listing(below)
    }
  }

  func write(_ bytes: [UInt8], to name: String, movedTo place: String? = nil) throws {
    try FileTree.write(bytes, to: name, in: try FileTree.openFolder(path))
    if let place { try #require(rename("\(path)/\(name)", "\(path)/\(place)") == 0) }
  }
}

/// A store in a folder of its own, an agent, and releases made of bytes.
struct StoreFixture {
  let folder: TemporaryFolder
  let store: ReleaseStore
  let agent: AgentName

  init(root: String? = nil, images: any Images = PretendImages()) throws {
    folder = try TemporaryFolder()
    store = ReleaseStore(root: root ?? "\(folder.path)/store", images: images)
    agent = try #require(AgentName("demo"))
  }

  /// A release whose archive has this content, announced truthfully.
  func release(
    _ archive: [UInt8], version: String = "1.0", strip: Int = 0, exec: String = "bin/agent"
  ) throws -> ReleaseManifest {
    let definition = AgentDefinition(
      name: agent, user: "root", strip: strip, exec: exec, args: [], environment: [],
      slots: SlotPorts(blue: 7001, green: 7002), publicPort: 8400, traffic: .nftables, drain: .seconds(1),
      concurrent: true, unitTemplate: nil, adopt: nil, health: [ProbeDefinition(question: .tcp)],
      dependencies: [])
    return ReleaseManifest(
      agent: definition, version: try #require(Version(version)),
      archive: ReleaseArchive(
        architecture: "", path: "archive", digest: try sha256(of: archive), bytes: Int64(archive.count)))
  }

  /// Sends all of the archive and finishes it.
  func install(_ archive: [UInt8], strip: Int = 0, exec: String = "bin/agent") throws -> ReleaseManifest {
    let release = try release(archive, strip: strip, exec: exec)
    try send(archive, of: release)
    try store.finish(release)
    return release
  }

  func send(_ bytes: [UInt8], of release: ReleaseManifest) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      try store.append(release, Array(rest.prefix(100_000)))
      rest = rest.dropFirst(100_000)
    }
  }

  func text(_ path: String) -> String? { ProcFiles.text("\(folder.path)/store/demo/\(path)") }

  func mode(_ path: String) -> mode_t? {
    var status = stat()
    return lstat("\(folder.path)/store/demo/\(path)", &status) == 0 ? status.st_mode & 0o7777 : nil
  }

  /// What is in the agent's releases and incoming folders.
  var remains: [String] {
    folder.listing("store/demo/releases") + folder.listing("store/demo/incoming")
  }

  /// An archive with a program and a file.
  static var good: TarBuilder {
    var tar = TarBuilder()
    tar.add("bin/", kind: "5", mode: 0o755)
    tar.add("bin/agent", content: Array("#!/bin/sh\nexit 0\n".utf8), mode: 0o755)
    tar.add("etc/settings", content: Array("a=1\n".utf8), mode: 0o600)
    return tar
  }

  /// What a program writes that is given the bytes as a file.
  func filtered(_ bytes: [UInt8], by argv: [String]) throws -> [UInt8] {
    try folder.write(bytes, to: "input")
    let result = try HostCommand.run(
      argv + ["\(folder.path)/input"], deadline: .seconds(60), outputLimit: 1 << 26)
    try #require(result.status.isSuccess, "\(result.lastWords)")
    return result.stdout
  }
}

/// The failure that `body` ends with.
func failure(_ body: () throws -> Void) -> HostFailure? {
  do {
    try body()
    return nil
  } catch { return error as? HostFailure }
}
