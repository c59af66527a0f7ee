/// What came back over HTTP, complete or cut.
struct Answer: Hashable, Sendable {
  /// One header field as it came, without the space around its value.
  struct Field: Hashable, Sendable {
    var name: String
    var value: String
  }

  /// The most of a body that is read, and the most of all header lines together.
  static let limit = 64 * 1024

  /// The final status code; 0 as long as no status line has come.
  var status = 0
  /// The final answer's header fields, in their order.
  var fields: [Field] = []
  /// The body's first ``limit`` bytes, as they came: nothing is decompressed.
  var body: [UInt8] = []
  /// Whether there was more of the body.
  var isCut = false
}

/// Gathers an answer from the pieces in which libcurl hands it over.
struct AnswerBuilder {
  private(set) var answer = Answer()
  private(set) var hasTooManyFields = false
  private var headerBytes = 0
  private var isInBody = false

  /// Takes one header line with its line end. False: enough, end the transfer.
  mutating func takeHeaderLine(_ line: UnsafeRawBufferPointer) -> Bool {
    headerBytes += line.count
    guard headerBytes <= Answer.limit else {
      hasTooManyFields = true
      return false
    }
    let text = String(decoding: line, as: UTF8.self)
    if text.hasPrefix("HTTP/") {
      // Another answer begins, as after `100 Continue`.
      answer.fields = []
      answer.status = Self.status(ofLine: text)
    } else if !isInBody, let colon = text.firstIndex(of: ":") {
      // Fields after the body (trailers) do not count: they came after what they would vouch for.
      let value = text[text.index(after: colon)...]
      answer.fields.append(Answer.Field(name: String(text[..<colon]), value: Self.trimmed(value)))
    }
    return true
  }

  /// Takes a piece of the body. False: enough, end the transfer.
  mutating func takeBody(_ piece: UnsafeRawBufferPointer) -> Bool {
    isInBody = true
    let room = Answer.limit - answer.body.count
    answer.body.append(contentsOf: piece.prefix(room))
    if piece.count > room { answer.isCut = true }
    return !answer.isCut
  }

  private static func status(ofLine line: String) -> Int {
    let words = line.split(separator: " ", maxSplits: 2)
    return words.count > 1 ? Int(words[1].prefix(3)) ?? 0 : 0
  }

  private static func trimmed(_ text: Substring) -> String {
    let isSpace = { (character: Character) in character.isWhitespace }
    let start = text.drop(while: isSpace)
    return String(
      start[..<(start.lastIndex(where: { !isSpace($0) }).map(start.index(after:)) ?? start.startIndex)])
  }
}
