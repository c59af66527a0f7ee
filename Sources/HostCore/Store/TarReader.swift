import RolloutModel

/// One entry of an archive, as the archive names it: nothing is checked yet but that it can be read.
struct TarEntry {
  /// What the entry makes.
  enum Kind: Hashable { case file, folder, symbolicLink, hardLink }

  var path: [UInt8]
  var kind: Kind
  var mode: Int64
  /// Bytes of content; 0 for all but files.
  var size: Int64
  /// A link's target.
  var target: [UInt8]
}

/// Reads the entries of a tar archive in order: ustar, pax (path, linkpath, size), GNU long names. Refuses what it does not
/// know, what is damaged, and an archive that ends without its end mark.
struct TarReader {
  /// The most bytes of a long name or a pax header.
  private static let extensionLimit: Int64 = 1 << 20

  private var reader: BoundedReader
  private var left: Int64 = 0
  private var padding: Int64 = 0

  init(_ reader: BoundedReader) { self.reader = reader }

  /// The next entry; nil after the last. What was left of the content of the one before is skipped.
  mutating func next() throws(HostFailure) -> TarEntry? {
    while !(try content(64 * 1024).isEmpty) {}
    var extended = TarExtension()
    while true {
      guard let block = try reader.exactly(TarHeader.size, of: "a header") else {
        throw HostFailure(.archiveRefused, "the archive is cut off: its end mark is missing")
      }
      if block.allSatisfy({ $0 == 0 }) {
        guard extended.isEmpty else {
          throw HostFailure(.archiveRefused, "the archive is damaged: a long name without an entry")
        }
        try checkEnd()
        return nil
      }
      let header = try TarHeader(block)
      switch header.kind {
      case UInt8(ascii: "L"): extended.path = cString(try extensionBytes(header))
      case UInt8(ascii: "K"): extended.target = cString(try extensionBytes(header))
      case UInt8(ascii: "x"): try extended.read(pax: try extensionBytes(header))
      case UInt8(ascii: "g"):
        // What a global header says of times or owners is of no use here; a name for all entries would be a trick.
        var global = TarExtension()
        try global.read(pax: try extensionBytes(header))
        guard global.isEmpty else {
          throw HostFailure(.archiveRefused, "the archive gives all of its entries one name or size")
        }
      default: return try entry(header, extended)
      }
    }
  }

  /// At most `count` bytes of the entry's content; empty at its end.
  mutating func content(_ count: Int) throws(HostFailure) -> ArraySlice<UInt8> {
    if left > 0 {
      let piece = try reader.some(Int(min(left, Int64(count))))
      guard !piece.isEmpty else {
        throw HostFailure(.archiveRefused, "the archive is cut off in the content of an entry")
      }
      left -= Int64(piece.count)
      return piece
    }
    if padding > 0 {
      let skipped = try reader.exactly(Int(padding), of: "the space after an entry")
      guard skipped != nil else {
        throw HostFailure(.archiveRefused, "the archive is cut off after an entry")
      }
      padding = 0
    }
    return []
  }

  private mutating func entry(_ header: TarHeader, _ extended: TarExtension) throws(HostFailure) -> TarEntry {
    let path = extended.path ?? header.name
    let size = extended.size ?? header.size
    let kind: TarEntry.Kind
    switch header.kind {
    case 0, UInt8(ascii: "0"), UInt8(ascii: "7"): kind = path.last == UInt8(ascii: "/") ? .folder : .file
    case UInt8(ascii: "1"): kind = .hardLink
    case UInt8(ascii: "2"): kind = .symbolicLink
    case UInt8(ascii: "5"): kind = .folder
    default:
      throw HostFailure(
        .archiveRefused, "\(shown(path: path)) in the archive is \(Self.name(ofKind: header.kind))",
        hint: "a release holds files, folders and links only")
    }
    // Links and folders carry no content, though some programs write a link's size there.
    try expect(kind == .file ? size : (kind == .folder ? size : 0))
    return TarEntry(
      path: path, kind: kind, mode: header.mode, size: kind == .file ? size : 0,
      target: extended.target ?? header.linkName)
  }

  private mutating func expect(_ size: Int64) throws(HostFailure) {
    try reader.expect(size)
    left = size
    padding = (512 - size % 512) % 512
  }

  private mutating func extensionBytes(_ header: TarHeader) throws(HostFailure) -> [UInt8] {
    guard header.size <= Self.extensionLimit else {
      throw HostFailure(.archiveRefused, "the archive has a name or header of \(header.size) bytes")
    }
    try expect(header.size)
    var bytes: [UInt8] = []
    while true {
      let piece = try content(64 * 1024)
      if piece.isEmpty { return bytes }
      bytes += piece
    }
  }

  /// After the first block of zeros there must be a second one, and nothing but zeros behind it.
  private mutating func checkEnd() throws(HostFailure) {
    guard let second = try reader.exactly(TarHeader.size, of: "its end mark"), second.allSatisfy({ $0 == 0 })
    else {
      throw HostFailure(.archiveRefused, "the archive is cut off: half of its end mark is missing")
    }
    while true {
      let rest = try reader.some(64 * 1024)
      if rest.isEmpty { return }
      guard rest.allSatisfy({ $0 == 0 }) else {
        throw HostFailure(.archiveRefused, "the archive goes on after its end mark")
      }
    }
  }

  private func cString(_ bytes: [UInt8]) -> [UInt8] { bytes.last == 0 ? Array(bytes.dropLast()) : bytes }

  private static func name(ofKind kind: UInt8) -> String {
    switch kind {
    case UInt8(ascii: "3"), UInt8(ascii: "4"): "a device"
    case UInt8(ascii: "6"): "a named pipe"
    case UInt8(ascii: "S"): "a sparse file, which is not unpacked"
    default: "of an unknown kind (\(shown(path: [kind])))"
    }
  }
}
