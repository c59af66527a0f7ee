import MarkedYAML

/// The hosts that Ansible's patterns choose: names, groups, globs, `~regex`, subscripts, `:`/`,` unions, `:&`, `:!`, `@file`.
struct HostPattern {
  /// One pattern and where it was written.
  private struct Piece {
    var text: String
    let file: String
    let place: Place
  }

  private let data: InventoryData

  init(_ data: InventoryData) { self.data = data }

  /// The indices of the chosen hosts. Errors: a pattern that matches nothing, that is none, or nothing left at the end.
  func hosts(_ limit: String) throws(FileProblems) -> Set<Int> {
    let name = "--limit"
    var pieces: [Piece] = []
    for piece in Self.split(limit, file: name) {
      if piece.text.hasPrefix("@") { pieces += try Self.read(piece) } else { pieces.append(piece) }
    }
    guard !pieces.isEmpty else {
      throw FileProblems(file: name, what: "the pattern is empty", instead: "name hosts or groups")
    }
    // As Ansible has it: unions first, then intersections, then exclusions, whatever their order.
    let chosen = pieces.filter { !$0.text.hasPrefix("&") && !$0.text.hasPrefix("!") }
    var hosts: Set<Int> = chosen.isEmpty ? Set(data.hosts.indices) : []
    for piece in chosen { hosts.formUnion(try matches(piece)) }
    for piece in pieces where piece.text.hasPrefix("&") { hosts.formIntersection(try matches(piece)) }
    for piece in pieces where piece.text.hasPrefix("!") { hosts.subtract(try matches(piece)) }
    guard !hosts.isEmpty else {
      throw FileProblems(
        file: name, what: "no host is left by \(quoted(limit))", instead: "choose at least one host")
    }
    return hosts
  }

  private static func split(_ limit: String, file: String) -> [Piece] {
    var pieces: [Piece] = []
    var depth = 0
    let isList = limit.contains(",")
    let isAddress =
      limit.utf8.allSatisfy { "0123456789abcdefABCDEF:.".utf8.contains($0) } && limit.contains("::")
    for (index, scalar) in limit.unicodeScalars.enumerated() {
      if scalar == "[" { depth += 1 }
      if scalar == "]" { depth = max(0, depth - 1) }
      let isBreak = isList ? scalar == "," : scalar == ":" && depth == 0 && !isAddress
      if isBreak || pieces.isEmpty {
        pieces.append(Piece(text: "", file: file, place: Place(line: 1, column: index + (isBreak ? 2 : 1))))
      }
      if !isBreak, scalar != " " || !(pieces.last?.text.isEmpty ?? true) {
        pieces[pieces.count - 1].text.unicodeScalars.append(scalar)
      }
    }
    return pieces.compactMap { piece in
      var piece = piece
      while piece.text.last == " " { piece.text.removeLast() }
      return piece.text.isEmpty ? nil : piece
    }
  }

  private static func read(_ piece: Piece) throws(FileProblems) -> [Piece] {
    let path = String(piece.text.dropFirst())
    let text = try SourceText(BoundedFile.read(path: path), file: path)
    return text.lines.enumerated().compactMap { index, line in
      let words = line.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
      guard !words.isEmpty, !words.hasPrefix("#") else { return nil }
      return Piece(text: words, file: path, place: Place(line: index + 1, column: 1))
    }
  }

  private func matches(_ piece: Piece) throws(FileProblems) -> [Int] {
    let text =
      piece.text.hasPrefix("&") || piece.text.hasPrefix("!") ? String(piece.text.dropFirst()) : piece.text
    if let host = data.host(text) { return [host] }
    let (pattern, subscripted) = Self.splitSubscript(text)
    let matcher = try matcher(pattern, piece)
    var found: [Int] = []
    let groups = data.groups.indices.filter { matcher(data.groups[$0].name) }
    for group in groups { found += data.members(of: group) }
    if groups.isEmpty || pattern.hasPrefix("~") || pattern.contains(where: { ".?*[".contains($0) }) {
      found += data.hosts.indices.filter { matcher(data.hosts[$0].name) }
    }
    var seen: Set<Int> = []
    found = found.filter { seen.insert($0).inserted }
    if let subscripted { found = subscripted.of(found) }
    guard !found.isEmpty else { throw nothing(text, pattern, piece) }
    return found
  }

  private func nothing(_ text: String, _ pattern: String, _ piece: Piece) -> FileProblems {
    let known = data.groups.map(\.name) + data.hosts.prefix(10_000).map(\.name)
    let near = nearest(to: pattern, of: known).map { "did you mean \(printable($0))?" }
    return FileProblems(
      file: piece.file, place: piece.place, what: "no host or group matches \(quoted(text))",
      instead: near ?? "name a host or group of the inventory")
  }

  private func matcher(_ pattern: String, _ piece: Piece) throws(FileProblems) -> (String) -> Bool {
    guard pattern.hasPrefix("~") else {
      let glob = Glob(pattern)
      return { glob.matches($0) }
    }
    do {
      let regex = try Regex(String(pattern.dropFirst()))
      _ = try regex.prefixMatch(in: "")
      // A name on which the expression fails is no match; whether it compiles was seen above.
      return { (try? regex.prefixMatch(in: $0)) != nil }
    } catch {
      throw FileProblems(
        file: piece.file, place: piece.place,
        what: "\(quoted(pattern)) is no regular expression (\(printable("\(error)")))",
        instead: "correct what follows ~")
    }
  }

  /// `web[0]`, `web[-1]`, `web[1:3]`, `web[2:]`.
  private struct Subscript {
    let first: Int
    /// Nil for one host alone.
    let last: Int?

    func of(_ hosts: [Int]) -> [Int] {
      let start = first < 0 ? hosts.count + first : first
      let end = last.map { min($0, hosts.count - 1) } ?? start
      return start >= 0 && start <= end && end < hosts.count ? Array(hosts[start...end]) : []
    }
  }

  private static func splitSubscript(_ pattern: String) -> (String, Subscript?) {
    guard !pattern.hasPrefix("~"), pattern.hasSuffix("]"), let open = pattern.lastIndex(of: "["),
      open > pattern.startIndex
    else { return (pattern, nil) }
    let inner = pattern[pattern.index(after: open)...].dropLast()
    let base = String(pattern[..<open])
    func number(_ text: Substring) -> Int? {
      text.utf8.count <= 9 && text.utf8.allSatisfy { (48...57).contains($0) } ? Int(text) : nil
    }
    if let single = number(inner) { return (base, Subscript(first: single, last: nil)) }
    if inner.hasPrefix("-"), let single = number(inner.dropFirst()) {
      return (base, Subscript(first: -single, last: nil))
    }
    guard let separator = inner.firstIndex(where: { $0 == ":" || $0 == "-" }),
      let first = number(inner[..<separator])
    else { return (pattern, nil) }
    let end = inner[inner.index(after: separator)...]
    if end.isEmpty { return (base, Subscript(first: first, last: Int.max)) }
    return number(end).map { (base, Subscript(first: first, last: $0)) } ?? (pattern, nil)
  }
}
