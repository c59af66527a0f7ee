import CYAML

/// libyaml's errors in words that say what to do.
enum YAMLWording {
  static func problems(of parser: yaml_parser_t, text: SourceText, file: String) -> FileProblems {
    let problem = parser.problem.map { String(cString: $0) } ?? ""
    let place = Place(parser.problem_mark)
    switch parser.error {
    case YAML_SCANNER_ERROR, YAML_PARSER_ERROR:
      let context = parser.context.map { String(cString: $0) } ?? ""
      return located(problem, context: context, place: place, text: text, file: file)
    case YAML_READER_ERROR:
      return FileProblems(file: file, what: problem, instead: "save the file as UTF-8 text")
    case YAML_MEMORY_ERROR:
      return FileProblems(
        file: file, what: "no memory for reading the file", instead: "free some and try again")
    default:
      return FileProblems(file: file, place: place, what: "the file is not YAML", instead: "check its syntax")
    }
  }

  static func tooDeep(file: String, place: Place) -> FileProblems {
    FileProblems(
      file: file, place: place, what: "the file is nested deeper than \(MarkedYAML.deepest) levels",
      instead: "flatten it")
  }

  private static func located(
    _ problem: String, context: String, place: Place, text: SourceText, file: String
  ) -> FileProblems {
    func says(_ what: String, _ instead: String) -> FileProblems {
      FileProblems(file: file, place: place, what: what, instead: instead)
    }
    let here = text.index(of: place).map { text.scalars[$0] }
    if problem.contains("tab character") || here == "\t" {
      return says("a tab character indents or separates here", "use spaces")
    }
    switch problem {
    case "mapping values are not allowed in this context":
      return says(
        "a second \": \" in one line, or a wrong indentation",
        "quote the text, or indent the key like its siblings")
    case "could not find expected ':'":
      return says("a key without a colon", "write KEY: VALUE")
    case "did not find expected key":
      return says(
        "the indentation fits no mapping, or a quote is not closed", "indent the line like its siblings")
    case "did not find expected '-' indicator":
      return says("the indentation fits no list", "begin the line with - like its siblings")
    case "did not find expected ',' or ']'":
      return says("the list opened by [ is not closed", "write , between values and ] at the end")
    case "did not find expected ',' or '}'":
      return says("the mapping opened by { is not closed", "write , between pairs and } at the end")
    case "found unexpected end of stream":
      return says("the file ends inside a quoted text", "close the quote")
    case "found unknown escape character":
      return says("an unknown escape in double quotes", "double the backslash, or use single quotes")
    case "found character that cannot start any token":
      return says("a text can't begin with \(quoted(here.map { String($0) } ?? ""))", "quote it")
    case _ where problem.hasPrefix("Maximum nesting level"):
      return tooDeep(file: file, place: place)
    default:
      return says(
        "no valid YAML (\(context.isEmpty ? "" : context + ": ")\(problem))", "check the syntax here")
    }
  }
}
