import Testing

@Suite("The rules of the house")
struct HouseTests {
  private let sources: [SourceFile]

  init() throws { sources = try SourceFile.all.get() }

  @Test(
    "Nothing in the programs may end them",
    arguments: ["try!", " as! ", "fatalError(", "preconditionFailure(", "unsafeDowncast("])
  func noTraps(call: String) {
    for file in sources {
      for place in file.places(of: call) { Issue.record("\(place): \(call)") }
    }
  }

  @Test("An error that is passed over has its reason beside it")
  func passedOverErrorsHaveReasons() {
    for file in sources {
      for number in file.code.indices
      where file.code[number].contains("try?") && file.code[number].contains(/(?:^|\W)try\?/) {
        let near = max(0, number - 3)...min(file.lines.count - 1, number + 3)
        #expect(
          near.contains { file.lines[$0].contains("//") },
          "\(file.path):\(number + 1): try? without a comment within three lines")
      }
    }
  }

  @Test("No file has more than 600 lines, and half of them have fewer than 150")
  func filesAreSmall() throws {
    let counts = sources.map(\.lines.count).sorted()
    for file in sources where file.lines.count > 600 {
      Issue.record("\(file.path) has \(file.lines.count) lines")
    }
    #expect(try #require(counts.dropFirst(counts.count / 2).first) < 150)
  }

  @Test("No file hands text to a shell")
  func noShell() {
    // Shells stand in texts: the whole lines are searched.
    for file in sources {
      for (number, line) in file.lines.enumerated()
      where [#""sh""#, #""bash""#, "/bin/sh", "/bin/bash"].contains(where: { line.contains($0) }) {
        Issue.record("\(file.path):\(number + 1): \(line)")
      }
      #expect(file.places(of: "popen(").isEmpty)
    }
  }

  @Test("Comments and texts are told from code")
  func tellsCode() {
    let text = """
      let a = "try!" // try!
      /* try! /* nested */ try! */ let b = try! c()
      let d = "\\(e("try!"))\\(try! f())", g = #"\\(try!)"#
      """
    let code = SwiftText.code(of: text).split(separator: "\n").map { String($0) }
    #expect(code.count == 3)
    #expect(code.map { $0.matches(of: /try!/).count } == [0, 1, 1])
    #expect(code[2].contains("try! f()"))
  }
}
