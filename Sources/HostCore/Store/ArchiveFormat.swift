import RolloutModel

/// How an archive is packed, told by its first bytes.
enum ArchiveFormat {
  case tar, gzip, xz, zstd

  /// How many first bytes tell the format.
  static let magicLength = 512

  /// Nil where the bytes are none of the formats.
  init?(magic: [UInt8]) {
    if magic.starts(with: [0x1f, 0x8b]) {
      self = .gzip
    } else if magic.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) {
      self = .xz
    } else if magic.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) {
      self = .zstd
    } else if magic.count == TarHeader.size, TarHeader.checksumHolds(magic) {
      self = .tar
    } else {
      return nil
    }
  }

  /// The program that unpacks it from its input to its output; nil for a plain archive.
  var decompressor: [String]? {
    switch self {
    case .tar: nil
    case .gzip: ["gzip", "-dc"]
    // The bound is on memory: an archive may not make the host run out of it.
    case .xz: ["xz", "-dc", "--memlimit-decompress=1GiB"]
    case .zstd: ["zstd", "-dcq"]
    }
  }
}
