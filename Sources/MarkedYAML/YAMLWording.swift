import Yams

/// The YAML library's errors in words that say what to do.
enum YAMLWording {
  static func problems(of error: YamlError, text: SourceText, file: String) -> FileProblems {
    switch error {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
      let place = Place(line: mark.line, column: mark.column)
      return located(problem, context: context?.text ?? "", place: place, text: text, file: file)
    case .composer(_, let problem, let mark, _):
      let several = problem.contains("another document")
      return FileProblems(
        file: file, place: Place(line: mark.line, column: mark.column),
        what: several ? "a second document begins here" : problem,
        instead: several ? "write one document a file" : "check the syntax here")
    case .memory:
      return FileProblems(
        file: file, what: "the file is nested deeper than \(MarkedYAML.deepest) levels", instead: "flatten it"
      )
    case .reader(let problem, _, _, _):
      return FileProblems(file: file, what: problem, instead: "save the file as UTF-8 text")
    default:
      return FileProblems(file: file, what: "the file is not YAML", instead: "check its syntax")
    }
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
      return says("the file is nested deeper than \(MarkedYAML.deepest) levels", "flatten it")
    default:
      return says(
        "no valid YAML (\(context.isEmpty ? "" : context + ": ")\(problem))", "check the syntax here")
    }
  }
}
