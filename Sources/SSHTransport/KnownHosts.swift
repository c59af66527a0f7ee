import Crypto
import FoundationEssentials

/// What the known hosts files say, in their order. Lines that OpenSSH would pass over are passed over.
struct KnownHosts: Sendable {
  /// A line's marker.
  enum Marker: Hashable, Sendable {
    case none
    case revoked
    case certificateAuthority
  }

  /// One line.
  struct Entry: Sendable {
    var marker: Marker
    var pattern: HostPattern
    var type: String
    var blob: [UInt8]
    /// `FILE:LINE`.
    var place: String
  }

  /// What the files say about a key that a host has shown.
  enum Verdict: Hashable, Sendable {
    case trusted
    /// With the types that are known instead, and where.
    case unknown(instead: String)
    case changed(place: String)
    case revoked(place: String)
    case unsupported(kind: String, place: String)
  }

  private(set) var entries: [Entry] = []

  init() {}

  /// Takes in a file's text.
  mutating func add(_ text: String, file: String) {
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if let entry = Self.entry(line, place: "\(file):\(index + 1)") { entries.append(entry) }
    }
  }

  private static func entry(_ line: Substring, place: String) -> Entry? {
    var fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\r\n" })[...]
    guard let first = fields.first, !first.hasPrefix("#") else { return nil }
    var marker = Marker.none
    if first.hasPrefix("@") {
      switch first {
      case "@revoked": marker = .revoked
      case "@cert-authority": marker = .certificateAuthority
      default: return nil
      }
      fields = fields.dropFirst()
    }
    guard fields.count >= 3, let data = Data(base64Encoded: String(fields[fields.startIndex + 2])),
      let key = PublicKey(blob: Array(data)), key.type == fields[fields.startIndex + 1],
      let pattern = HostPattern(fields[fields.startIndex])
    else { return nil }
    return Entry(marker: marker, pattern: pattern, type: key.type, blob: key.blob, place: place)
  }

  /// The names that OpenSSH would look for, the first that is known decides: `[host]:port` before the bare name.
  static func names(host: String, port: Int, alias: String?) -> [String] {
    if let alias { return [alias.lowercased()] }
    let host = host.lowercased()
    return port == 22 ? [host] : ["[\(host)]:\(port)", host]
  }

  /// Takes in another file's lines.
  mutating func add(_ other: KnownHosts) { entries += other.entries }

  /// The lines about any of these names. Hashed names cost time: not for the loop.
  func restricted(to names: [String]) -> KnownHosts {
    var result = KnownHosts()
    result.entries = entries.filter { entry in names.contains { entry.pattern.matches($0) } }
    return result
  }

  /// The types of keys to ask a host for, those that are known for it first.
  func preferredTypes(for names: [String]) -> [String] {
    let known = Set(entries(for: names).filter { $0.marker == .none }.map(\.type))
    return PublicKey.usableTypes.filter(known.contains)
      + PublicKey.usableTypes.filter { !known.contains($0) }
  }

  /// What the files say about `key`, shown by the host of these names.
  func verdict(on key: PublicKey, names: [String]) -> Verdict {
    for name in names {
      for entry in entries where entry.marker == .revoked && entry.blob == key.blob {
        if entry.pattern.matches(name) { return .revoked(place: entry.place) }
      }
    }
    let matching = entries(for: names)
    let plain = matching.filter { $0.marker == .none }
    if plain.contains(where: { $0.blob == key.blob }) { return .trusted }
    if let other = plain.first(where: { $0.type == key.type }) { return .changed(place: other.place) }
    let usable = plain.filter { PublicKey.usableTypes.contains($0.type) }
    if usable.isEmpty, let other = matching.first(where: { $0.marker != .revoked }) {
      let kind =
        other.marker == .certificateAuthority
        ? "a certificate authority" : "a key of type \(other.type)"
      return .unsupported(kind: kind, place: other.place)
    }
    let instead = usable.map { "\($0.type) at \($0.place)" }.joined(separator: ", ")
    return .unknown(instead: instead)
  }

  /// The lines about the first of the names that has any usable key, else about the first that has any line at all.
  private func entries(for names: [String]) -> [Entry] {
    let found = names.map { name in entries.filter { $0.pattern.matches(name) } }
    return found.first { $0.contains { $0.marker == .none } } ?? found.first { !$0.isEmpty } ?? []
  }
}

/// The first field of a line: a hashed name, or patterns.
enum HostPattern: Sendable {
  case hashed(salt: [UInt8], hash: [UInt8])
  case patterns([(isNegated: Bool, pattern: [UInt8])])

  /// Nil for a hash of an unknown kind, or nothing.
  init?(_ field: Substring) {
    if field.hasPrefix("|") {
      let parts = field.split(separator: "|", omittingEmptySubsequences: false)
      guard parts.count == 4, parts[1] == "1", let salt = Data(base64Encoded: String(parts[2])),
        let hash = Data(base64Encoded: String(parts[3])), !salt.isEmpty, hash.count == 20
      else { return nil }
      self = .hashed(salt: Array(salt), hash: Array(hash))
    } else {
      self = .patterns(
        field.lowercased().split(separator: ",").map { part in
          part.hasPrefix("!") ? (true, Array(part.utf8.dropFirst())) : (false, Array(part.utf8))
        })
    }
  }

  /// Whether a name, in lower case, is meant. One negated pattern that matches refuses the whole line.
  func matches(_ name: String) -> Bool {
    switch self {
    case .hashed(let salt, let hash):
      let code = HMAC<Insecure.SHA1>.authenticationCode(
        for: Data(name.utf8), using: SymmetricKey(data: Data(salt)))
      return Array(code) == hash
    case .patterns(let patterns):
      let name = Array(name.utf8)
      let hits = patterns.filter { matchesWildcards(name, $0.pattern) }
      return !hits.isEmpty && !hits.contains(where: \.isNegated)
    }
  }
}

/// `*` stands for any bytes, `?` for one. Takes time in proportion to both lengths, whatever the pattern.
func matchesWildcards(_ text: [UInt8], _ pattern: [UInt8]) -> Bool {
  var (at, want) = (0, 0)
  var star: (want: Int, at: Int)?
  while at < text.count {
    if want < pattern.count, pattern[want] == UInt8(ascii: "*") {
      star = (want, at)
      want += 1
    } else if want < pattern.count, pattern[want] == UInt8(ascii: "?") || pattern[want] == text[at] {
      at += 1
      want += 1
    } else if let last = star {
      star = (last.want, last.at + 1)
      want = last.want + 1
      at = last.at + 1
    } else {
      return false
    }
  }
  return pattern[want...].allSatisfy { $0 == UInt8(ascii: "*") }
}
