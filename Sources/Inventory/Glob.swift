/// A pattern with `*`, `?`, `[abc]`, `[a-f]` and `[!abc]` that a whole text must match.
struct Glob {
  private enum Part {
    case any
    case anyOne
    case oneOf([ClosedRange<Unicode.Scalar>], isExcluded: Bool)
    case exactly(Unicode.Scalar)
  }

  private let parts: [Part]

  init(_ pattern: String) {
    let scalars = Array(pattern.unicodeScalars)
    var parts: [Part] = []
    var index = 0
    while index < scalars.count {
      switch scalars[index] {
      case "*": parts.append(.any)
      case "?": parts.append(.anyOne)
      case "[":
        if let (part, end) = Self.set(scalars, from: index) {
          parts.append(part)
          index = end
        } else {
          parts.append(.exactly("["))
        }
      case let scalar: parts.append(.exactly(scalar))
      }
      index += 1
    }
    self.parts = parts
  }

  /// The set that begins at `start`, and where its `]` is; nil where it has none.
  private static func set(_ scalars: [Unicode.Scalar], from start: Int) -> (Part, Int)? {
    var index = start + 1
    let isExcluded = index < scalars.count && scalars[index] == "!"
    if isExcluded { index += 1 }
    var ranges: [ClosedRange<Unicode.Scalar>] = []
    let first = index
    while index < scalars.count, scalars[index] != "]" || index == first {
      if index + 2 < scalars.count, scalars[index + 1] == "-", scalars[index + 2] != "]" {
        if scalars[index] <= scalars[index + 2] { ranges.append(scalars[index]...scalars[index + 2]) }
        index += 3
      } else {
        ranges.append(scalars[index]...scalars[index])
        index += 1
      }
    }
    return index < scalars.count ? (.oneOf(ranges, isExcluded: isExcluded), index) : nil
  }

  /// Whether the whole text matches. Takes at most pattern × text steps.
  func matches(_ text: String) -> Bool {
    let scalars = Array(text.unicodeScalars)
    var (position, part) = (0, 0)
    var star: (part: Int, position: Int)?
    while position < scalars.count {
      if part < parts.count, case .any = parts[part] {
        star = (part, position)
        part += 1
      } else if part < parts.count, Self.admits(parts[part], scalars[position]) {
        part += 1
        position += 1
      } else if let back = star {
        star = (back.part, back.position + 1)
        (part, position) = (back.part + 1, back.position + 1)
      } else {
        return false
      }
    }
    return parts[part...].allSatisfy { if case .any = $0 { true } else { false } }
  }

  private static func admits(_ part: Part, _ scalar: Unicode.Scalar) -> Bool {
    switch part {
    case .any: false
    case .anyOne: true
    case .oneOf(let ranges, let isExcluded): ranges.contains { $0.contains(scalar) } != isExcluded
    case .exactly(let other): scalar == other
    }
  }
}
