/// Words split as a POSIX shell splits them: quotes, backslashes, comments. Nothing is expanded.
enum ShellWords {
  /// A word and the column (counted in Unicode scalars, from 1) at which it begins.
  struct Word: Equatable {
    var text: String
    var column: Int
  }

  /// The words of a line; nil where a quote is not closed or a backslash ends the line.
  static func split(_ line: some StringProtocol, comments: Bool) -> [Word]? {
    var words: [Word] = []
    var word: Word?
    var quote: Unicode.Scalar?
    var isEscaped = false
    for (index, scalar) in line.unicodeScalars.enumerated() {
      func append(_ scalar: Unicode.Scalar) {
        if word == nil { word = Word(text: "", column: index + 1) }
        word?.text.unicodeScalars.append(scalar)
      }
      if isEscaped {
        if quote == "\"", scalar != "\"", scalar != "\\" { append("\\") }
        append(scalar)
        isEscaped = false
      } else if scalar == "\\", quote != "'" {
        if word == nil { word = Word(text: "", column: index + 1) }
        isEscaped = true
      } else if let open = quote {
        if scalar == open { quote = nil } else { append(scalar) }
      } else if scalar == "'" || scalar == "\"" {
        if word == nil { word = Word(text: "", column: index + 1) }
        quote = scalar
      } else if scalar == "#", comments {
        break
      } else if scalar == " " || scalar == "\t" {
        if let done = word { words.append(done) }
        word = nil
      } else {
        append(scalar)
      }
    }
    guard quote == nil, !isEscaped else { return nil }
    if let done = word { words.append(done) }
    return words
  }
}
