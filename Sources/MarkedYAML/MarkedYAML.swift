/// Reads YAML into nodes that know their place. Nothing in a file can trap, hang or grow without bound: sizes, depth
/// and the expansion of aliases are limited, and everything that a file may do wrong is a located problem.
public enum MarkedYAML {
  /// The deepest nesting that a file may have.
  public static let deepest = 32
  /// The most values that a file may have, those repeated by aliases included.
  public static let mostNodes = 100_000

  /// The one document of a YAML file. Errors: not UTF-8, forbidden characters, no YAML, no document or several,
  /// duplicate keys, keys that are no text, unknown aliases, any bound exceeded, and explicit tags unless `keepTags`.
  public static func parse(_ bytes: [UInt8], file: String, keepTags: Bool = false) throws(FileProblems)
    -> MarkedNode
  {
    let text = try SourceText(bytes, file: file)
    let diagnostics = Diagnostics(file: file)
    var composer = try Composer(text, keepTags: keepTags, diagnostics: diagnostics)
    let node = try composer.document()
    try diagnostics.throwIfAny()
    guard let node else { throw empty(file) }
    return node
  }

  static func empty(_ file: String) -> FileProblems {
    FileProblems(file: file, what: "the file is empty", instead: "write a mapping, KEY: VALUE")
  }
}
