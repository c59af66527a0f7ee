/// Text as it may stand in an error: control and invisible characters escaped.
public func printable(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    if isHidden(scalar) {
      result += "\\u{\(String(scalar.value, radix: 16))}"
    } else {
      result.unicodeScalars.append(scalar)
    }
  }
  return result
}

/// Text in quotes as it may stand in an error: escaped, and shortened where it is long.
public func quoted(_ text: String) -> String {
  let shown = text.unicodeScalars.prefix(60)
  let rest = shown.endIndex < text.unicodeScalars.endIndex ? "…" : ""
  return "\"\(printable(String(shown)))\(rest)\""
}

/// Words as a sentence lists them: `a, b or c`.
public func alternatives(_ words: [String]) -> String {
  guard let last = words.last else { return "" }
  guard words.count > 1 else { return last }
  return words.dropLast().joined(separator: ", ") + " or " + last
}

/// The word that was probably meant: the nearest within a third of its length in typing errors; nil where none is near.
public func nearest(to word: String, of words: [String]) -> String? {
  let typed = Array(word.lowercased().utf8.prefix(64))
  var best: (word: String, distance: Int)?
  for candidate in words {
    let letters = Array(candidate.lowercased().utf8)
    let distance = typingErrors(typed, letters)
    let near = max(1, max(typed.count, letters.count) / 3)
    guard distance <= near, distance < max(typed.count, letters.count) else { continue }
    if distance < best?.distance ?? Int.max { best = (candidate, distance) }
  }
  return best?.word
}

/// What to do about a word that is none of `words`.
public func proposal(for word: String, of words: [String], as what: String = "write") -> String {
  if let near = nearest(to: word, of: words) { return "did you mean \(near)?" }
  return "\(what) \(alternatives(words))"
}

/// Letters inserted, left out, replaced or swapped with their neighbour.
private func typingErrors(_ left: [UInt8], _ right: [UInt8]) -> Int {
  guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
  var before: [Int] = []
  var above = Array(0...right.count)
  for row in 1...left.count {
    var line = [row]
    for column in 1...right.count {
      let same = left[row - 1] == right[column - 1]
      var cost = min(above[column] + 1, line[column - 1] + 1, above[column - 1] + (same ? 0 : 1))
      if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
        cost = min(cost, before[column - 2] + 1)
      }
      line.append(cost)
    }
    before = above
    above = line
  }
  return above[right.count]
}

/// Control characters, line and paragraph separators, and the marks that reorder or hide text.
func isHidden(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0..<0x20, 0x7F..<0xA0, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFFE, 0xFFFF: true
  default: false
  }
}
