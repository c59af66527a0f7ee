import Yams

/// A text made safe for Yams, character by character so that every place stays true.
///
/// Yams expands aliases by itself and hashes every key, so that a few lines of nested aliases would keep it busy
/// forever; each `*` is therefore replaced by a character that means nothing to YAML, and `Composer` expands aliases
/// within bounds. Yams also gives up at the first duplicate key without its place; the first letter of such a key is
/// replaced, and `Composer` puts it back and finds both places.
struct DisguisedText {
  private var scalars: [Unicode.Scalar]
  private let source: SourceText
  private let file: String
  private let disguises: Disguises
  private var nextSpare = 1
  private var renamed: [Place: Unicode.Scalar] = [:]

  /// More duplicate keys than this are not told one by one: each costs another pass over the text.
  private static let mostRenamed = 20
  /// The characters that all passes together may read.
  private static let mostRead = 2 << 20

  init(_ source: SourceText, file: String) throws(FileProblems) {
    guard let disguises = Disguises(absentFrom: source.scalars, count: Self.mostRenamed + 1) else {
      throw FileProblems(
        file: file, what: "the file uses nearly all private characters of Unicode", instead: "remove them")
    }
    self.source = source
    self.file = file
    self.disguises = disguises
    scalars = source.scalars.map { $0 == "*" ? disguises[0] : $0 }
  }

  /// The document's root; nil where there is none.
  func compose(keepTags: Bool, diagnostics: Diagnostics) throws(FileProblems) -> MarkedNode? {
    var text = self
    while true {
      do {
        let parser = try Parser(yaml: SourceText.string(text.scalars), resolver: .basic, encoding: .utf8)
        // The nodes hold their anchors weakly; the parser is what keeps them.
        return try withExtendedLifetime(parser) {
          guard let root = try parser.singleRoot() else { return nil }
          var composer = Composer(
            alias: text.disguises[0], renamed: text.renamed, keepTags: keepTags, diagnostics: diagnostics)
          return composer.compose(root)
        }
      } catch let error as YamlError {
        guard case .duplicatedKeysInMapping(let keys, let context) = error else {
          throw YAMLWording.problems(of: error, text: source, file: file)
        }
        let place = Place(line: context.mark.line, column: context.mark.column)
        guard text.rename(at: place) else {
          let key = keys.first.map { quoted(text.plain($0)) } ?? "a key"
          throw FileProblems(
            file: file, place: place, what: "the key \(key) stands more than once in its mapping",
            instead: "keep one")
        }
      } catch {
        throw FileProblems(
          file: file, what: "the file can't be read as YAML: \(error)", instead: "check its syntax")
      }
    }
  }

  /// Makes the key at a place another one. False where that is not possible.
  private mutating func rename(at place: Place) -> Bool {
    guard renamed[place] == nil, nextSpare <= Self.mostRenamed, nextSpare * scalars.count <= Self.mostRead,
      var index = source.index(of: place)
    else {
      return false
    }
    if scalars[index] == "\"" || scalars[index] == "'" {
      index += 1
      guard index < scalars.count, !"\"'\\".unicodeScalars.contains(scalars[index]) else { return false }
    } else if "&!?[{|>".unicodeScalars.contains(scalars[index]) {
      return false
    }
    renamed[place] = source.scalars[index]
    scalars[index] = disguises[nextSpare]
    nextSpare += 1
    return true
  }

  private func plain(_ key: String) -> String {
    SourceText.string(key.unicodeScalars.map { $0 == disguises[0] ? "*" : $0 })
  }
}

/// Private characters of Unicode that a text does not use.
private struct Disguises {
  private let scalars: [Unicode.Scalar]

  init?(absentFrom text: [Unicode.Scalar], count: Int) {
    let used = Set(text)
    scalars = Array(
      (UInt32(0xE000)...0xF8FF).lazy.compactMap(Unicode.Scalar.init).filter { !used.contains($0) }.prefix(
        count))
    guard scalars.count == count else { return nil }
  }

  subscript(index: Int) -> Unicode.Scalar { scalars[index] }
}
