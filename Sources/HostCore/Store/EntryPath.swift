import RolloutModel

/// A path inside a release, as its components: relative, without `.`, `..`, control characters or invalid text.
struct EntryPath: Hashable {
  /// Bounds of what is unpacked.
  private enum Bound {
    static let component = 255
    static let path = 1024
    static let depth = 64
  }

  /// The components, outermost first; empty for the release's own folder. Bytes: text that looks the same may differ on disk.
  let components: [[UInt8]]

  private init(components: [[UInt8]]) { self.components = components }

  /// The path of an entry after `strip` leading folders were dropped; nil where nothing is left of it.
  init?(entry path: [UInt8], strip: Int) throws(HostFailure) {
    let all = try Self.components(of: path, what: "the entry", path)
    guard !all.contains(where: { $0 == Self.up }) else {
      throw HostFailure(
        .archiveRefused, "the entry \(HostCore.shown(path: path)) leads out of the archive by \"..\"")
    }
    guard all.count > strip else { return nil }
    components = Array(all.dropFirst(strip))
    guard components.count <= Bound.depth else {
      throw HostFailure(
        .archiveRefused, "the entry \(HostCore.shown(path: path)) is more than \(Bound.depth) folders deep")
    }
  }

  /// The folder it is in; nil for the release's own folder.
  var parent: EntryPath? { components.isEmpty ? nil : EntryPath(components: Array(components.dropLast())) }

  /// Its last component; nil for the release's own folder.
  var name: [UInt8]? { components.last }

  /// As messages show it.
  var shown: String { HostCore.shown(path: Array(components.joined(separator: [UInt8(ascii: "/")]))) }

  /// Whether a symbolic link at this place may have this target: relative, up only at its beginning, and no further than
  /// the release's own folder. `a/..` is refused: where `a` is itself a link, it leads elsewhere than it looks.
  func admits(target: [UInt8]) throws(HostFailure) -> Bool {
    let parts = try Self.components(of: target, what: "the target of the link \(shown):", target)
    let ups = parts.prefix(while: { $0 == Self.up }).count
    return !parts.isEmpty && !parts.dropFirst(ups).contains(where: { $0 == Self.up })
      && ups < components.count
  }

  private static let up = Array("..".utf8)

  private static func components(
    of path: [UInt8], what: String, _ original: [UInt8]
  ) throws(HostFailure) -> [[UInt8]] {
    func refused(_ why: String) -> HostFailure {
      HostFailure(.archiveRefused, "\(what) \(HostCore.shown(path: original)) \(why)")
    }
    guard !path.isEmpty else { throw refused("has no name") }
    guard path.first != UInt8(ascii: "/") else { throw refused("is an absolute path") }
    guard path.count <= Bound.path else { throw refused("is longer than \(Bound.path) bytes") }
    guard !path.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
      throw refused("holds control characters")
    }
    guard String(validating: path, as: UTF8.self) != nil else { throw refused("is not valid UTF-8") }
    let parts = path.split(separator: UInt8(ascii: "/")).map(Array.init).filter { $0 != [UInt8(ascii: ".")] }
    guard parts.allSatisfy({ $0.count <= Bound.component }) else {
      throw refused("has a component longer than \(Bound.component) bytes")
    }
    return parts
  }
}
