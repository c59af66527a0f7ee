/// Something that must hold on a host before anything is changed there.
public enum Dependency: Hashable, Sendable, Codable {
  /// A program runs, exits with 0 and, where a bound is given, prints a version within it.
  case command(argv: [String], version: VersionBound?)
  /// At least this many bytes are free where releases are stored.
  case diskFree(bytes: Int64)
  /// At least this many bytes of memory are available.
  case memoryFree(bytes: Int64)
  /// Nothing listens on this port.
  case portFree(Int)
  /// A TCP connection from the host is accepted.
  case tcp(host: String, port: Int)
  /// A GET from the host is answered with this status.
  case http(url: String, status: Int)
  /// A file or folder exists.
  case file(path: String)
  /// The interpreter imports a module; where a bound is given, the version of its distribution is within it.
  case pythonModule(name: String, interpreter: String, version: VersionBound?)

  /// How a line names the dependency.
  public var title: String {
    switch self {
    case .command(let argv, let bound):
      "command \(argv.joined(separator: " "))" + (bound.map { " \($0)" } ?? "")
    case .diskFree(let bytes): "disk_free \(bytes) bytes"
    case .memoryFree(let bytes): "memory_free \(bytes) bytes"
    case .portFree(let port): "port_free \(port)"
    case .tcp(let host, let port): "tcp \(host.contains(":") ? "[\(host)]" : host):\(port)"
    case .http(let url, _): "http \(url)"
    case .file(let path): "file \(path)"
    case .pythonModule(let name, let interpreter, let bound):
      "python_module \(name) in \(interpreter)" + (bound.map { " \($0)" } ?? "")
    }
  }
}

/// A bound on dotted numeric versions: clauses that must all hold, as in `>=3.9,<4`.
public struct VersionBound: Hashable, Sendable, Codable, CustomStringConvertible {
  /// How a version compares to a clause's.
  public enum Comparison: String, Sendable, Codable {
    case atLeast = ">="
    case atMost = "<="
    case above = ">"
    case below = "<"
    case equal = "=="
    case notEqual = "!="
  }

  /// One clause.
  public struct Clause: Hashable, Sendable, Codable {
    /// How the found version must compare.
    public var comparison: Comparison
    /// The number's parts, most significant first.
    public var parts: [Int]
  }

  /// All must hold; never empty.
  public let clauses: [Clause]

  /// Nil where `text` is no bound.
  public init?(_ text: String) {
    var clauses: [Clause] = []
    for piece in text.split(separator: ",", omittingEmptySubsequences: false) {
      let trimmed = piece.drop(while: { $0 == " " })
      let sign = trimmed.prefix(while: { "<>=!".contains($0) })
      guard let comparison = Comparison(rawValue: sign.isEmpty ? "==" : String(sign)) else { return nil }
      let number = trimmed.dropFirst(sign.count).drop(while: { $0 == " " })
      let end = number.lastIndex(where: { $0 != " " }).map { number.index(after: $0) } ?? number.startIndex
      guard let parts = Self.parts(of: number[..<end]) else { return nil }
      clauses.append(Clause(comparison: comparison, parts: parts))
    }
    guard !clauses.isEmpty else { return nil }
    self.clauses = clauses
  }

  /// Whether a version, given as its numeric parts, is within the bound; missing parts count as 0.
  public func admits(_ version: [Int]) -> Bool {
    clauses.allSatisfy { clause in
      let order = Self.order(version, clause.parts)
      return switch clause.comparison {
      case .atLeast: order >= 0
      case .atMost: order <= 0
      case .above: order > 0
      case .below: order < 0
      case .equal: order == 0
      case .notEqual: order != 0
      }
    }
  }

  /// The first dotted number in what a program printed; nil where there is none.
  public static func firstVersion(in text: some StringProtocol) -> [Int]? {
    var candidate = text[...]
    while let start = candidate.firstIndex(where: { $0.isASCII && $0.isNumber }) {
      let run = candidate[start...].prefix(while: { ($0.isASCII && $0.isNumber) || $0 == "." })
      var trimmed = run
      while trimmed.last == "." { trimmed = trimmed.dropLast() }
      if trimmed.contains("."), let parts = parts(of: trimmed) { return parts }
      candidate = candidate[run.endIndex...]
    }
    guard let start = text.firstIndex(where: { $0.isASCII && $0.isNumber }) else { return nil }
    return parts(of: text[start...].prefix(while: { $0.isASCII && $0.isNumber }))
  }

  static func parts(of text: some StringProtocol) -> [Int]? {
    let pieces = text.split(separator: ".", omittingEmptySubsequences: false)
    guard !pieces.isEmpty, pieces.count <= 8 else { return nil }
    var parts: [Int] = []
    for piece in pieces {
      guard piece.utf8.count <= 18, piece.utf8.allSatisfy({ (48...57).contains($0) }), let part = Int(piece)
      else { return nil }
      parts.append(part)
    }
    return parts
  }

  static func order(_ left: [Int], _ right: [Int]) -> Int {
    for place in 0..<max(left.count, right.count) {
      let a = place < left.count ? left[place] : 0
      let b = place < right.count ? right[place] : 0
      if a != b { return a < b ? -1 : 1 }
    }
    return 0
  }

  /// As a file writes it.
  public var description: String {
    clauses.map { $0.comparison.rawValue + $0.parts.map(String.init).joined(separator: ".") }
      .joined(separator: ",")
  }
}

/// What the check of one dependency showed.
public struct DependencyResult: Hashable, Sendable, Codable {
  /// The dependency's title.
  public var dependency: String
  /// Nil where it holds; else what was found, escaped for a terminal.
  public var failure: String?

  /// A result from its parts.
  public init(dependency: String, failure: String?) {
    self.dependency = dependency
    self.failure = failure
  }
}
