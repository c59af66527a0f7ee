/// The characters of a file, checked: UTF-8, no control or hidden characters, lines that end with LF or CR LF.
public struct SourceText: Sendable {
  /// All characters, without a byte order mark.
  let scalars: [Unicode.Scalar]
  /// Where each line begins.
  private let lineStarts: [Int]

  /// The text as a string.
  public var string: String { Self.string(scalars) }

  /// Checks bytes. Errors: the first bytes that are not UTF-8, each kind of forbidden character once.
  public init(_ bytes: [UInt8], file: String) throws(FileProblems) {
    guard bytes.count <= BoundedFile.limit else { throw BoundedFile.tooLarge(file) }
    if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
      throw FileProblems(file: file, what: "the file is UTF-16", instead: "save it as UTF-8")
    }
    var scalars: [Unicode.Scalar] = []
    scalars.reserveCapacity(bytes.count)
    var lineStarts = [0]
    let diagnostics = Diagnostics(file: file)
    var reported: Set<Unicode.Scalar> = []
    var decoder = UTF8()
    // A UTF-8 byte order mark, as some editors write it, carries no meaning.
    var source = bytes.dropFirst(bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0).makeIterator()
    decoding: while true {
      let place = Place(line: lineStarts.count, column: scalars.count - (lineStarts.last ?? 0) + 1)
      switch decoder.decode(&source) {
      case .emptyInput: break decoding
      case .error:
        throw FileProblems(
          file: file, place: place, what: "the bytes here are not UTF-8", instead: "save the file as UTF-8")
      case .scalarValue(let scalar):
        if let previous = scalars.last, previous == "\r", scalar != "\n" {
          diagnostics.report(place, "a lone carriage return", "end lines with LF or CR LF")
        }
        if isHidden(scalar), !["\n", "\r", "\t"].contains(scalar), reported.insert(scalar).inserted {
          diagnostics.report(
            place, "the invisible character \(printable(String(scalar)))",
            "remove it, or write it as an escape in double quotes")
        }
        scalars.append(scalar)
        if scalar == "\n" { lineStarts.append(scalars.count) }
      }
    }
    try diagnostics.throwIfAny()
    self.scalars = scalars
    self.lineStarts = lineStarts
  }

  /// The index of the character at a place; nil where there is none.
  func index(of place: Place) -> Int? {
    guard place.line >= 1, place.line <= lineStarts.count, place.column >= 1 else { return nil }
    let (index, overflow) = lineStarts[place.line - 1].addingReportingOverflow(place.column - 1)
    return !overflow && index < scalars.count ? index : nil
  }

  /// The lines, without their ends.
  public var lines: [String] {
    lineStarts.indices.map { line in
      let end = line + 1 < lineStarts.count ? lineStarts[line + 1] : scalars.count
      var content = scalars[lineStarts[line]..<end]
      while let last = content.last, last == "\n" || last == "\r" { content = content.dropLast() }
      return Self.string(content)
    }
  }

  static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }
}
