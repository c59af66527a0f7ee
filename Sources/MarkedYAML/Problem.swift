/// A position in a file; both numbers begin with 1.
public struct Place: Hashable, Comparable, Sendable {
  /// The line.
  public var line: Int
  /// The column, counted in Unicode scalars.
  public var column: Int

  /// The beginning of a file: where problems of the whole file are reported.
  public static let start = Place(line: 1, column: 1)

  /// A position from its numbers.
  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  /// Earlier positions first.
  public static func < (left: Place, right: Place) -> Bool {
    (left.line, left.column) < (right.line, right.column)
  }
}

/// One thing that is wrong in a file, and what would be right.
public struct Problem: Hashable, Sendable, CustomStringConvertible {
  /// The file, as the user named it.
  public var file: String
  /// Where in the file.
  public var place: Place
  /// What is wrong.
  public var what: String
  /// What would be right.
  public var instead: String

  /// A problem from its parts.
  public init(file: String, place: Place, what: String, instead: String) {
    self.file = file
    self.place = place
    self.what = what
    self.instead = instead
  }

  /// `FILE:LINE:COLUMN: what is wrong; what would be right`.
  public var description: String {
    "\(printable(file)):\(place.line):\(place.column): \(what); \(instead)"
  }
}

/// Everything that is wrong with a file, or with the files that were read together.
public struct FileProblems: Error, Hashable, Sendable, CustomStringConvertible {
  /// In the order of the files' reading, then by place; never empty.
  public let problems: [Problem]
  /// Further problems that were found and are not listed.
  public let omitted: Int

  /// Problems as they were collected.
  public init(problems: [Problem], omitted: Int = 0) {
    self.problems = problems
    self.omitted = omitted
  }

  /// One problem.
  public init(file: String, place: Place = .start, what: String, instead: String) {
    self.init(problems: [Problem(file: file, place: place, what: what, instead: instead)])
  }

  /// One line a problem.
  public var description: String {
    var lines = problems.map(\.description)
    if omitted > 0 { lines.append("and \(omitted) more") }
    return lines.joined(separator: "\n")
  }
}
