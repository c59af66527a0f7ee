import FoundationEssentials

/// The project's files as they lie on the disk.
enum Repository {
  /// The project's folder, with its slash, from this file's place.
  static let root = String(#filePath.dropLast("Tests/LayeringTests/Repository.swift".count))

  /// A file's text.
  static func text(_ path: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: root + path)), as: UTF8.self)
  }

  /// Whether a file or folder is there.
  static func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root + path) }

  /// The names in a folder, sorted.
  static func names(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: root + folder).sorted()
  }

  /// All files below a folder whose names end so, sorted.
  static func files(in folder: String, ending: String) throws -> [String] {
    try names(in: folder).flatMap { name -> [String] in
      let path = folder + "/" + name
      var isFolder = false
      _ = FileManager.default.fileExists(atPath: root + path, isDirectory: &isFolder)
      if isFolder { return try files(in: path, ending: ending) }
      return name.hasSuffix(ending) ? [path] : []
    }
  }
}

/// One Swift file of a module, read once.
struct SourceFile: Sendable {
  let path: String
  /// The folder under Sources that it lies in.
  let module: String
  let lines: [Substring]
  /// The same lines without comments and texts.
  let code: [String]

  init(path: String, text: String) {
    self.path = path
    module = path.split(separator: "/").dropFirst().first.map { String($0) } ?? ""
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    code = SwiftText.code(of: text).split(separator: "\n", omittingEmptySubsequences: false).map {
      String($0)
    }
  }

  /// All Swift files under Sources.
  static let all: Result<[SourceFile], any Error> = Result {
    try Repository.files(in: "Sources", ending: ".swift").map {
      SourceFile(path: $0, text: try Repository.text($0))
    }
  }

  /// What the file imports: modules of any origin.
  var imports: [String] {
    code.compactMap { line -> String? in
      let words = line.split(separator: " ")
      guard let place = words.firstIndex(of: "import"), place + 1 < words.count,
        words[..<place].allSatisfy({ $0.hasPrefix("@") || Self.access.contains(String($0)) })
      else { return nil }
      // `import struct Module.Type` names its module before the dot.
      return words.last?.split(separator: ".").first.map { String($0) }
    }
  }

  private static let access = ["public", "package", "internal", "fileprivate", "private"]

  /// The lines of code in which a text stands, as `PATH:LINE`.
  func places(of text: String) -> [String] {
    code.indices.filter { code[$0].contains(text) }.map { "\(path):\($0 + 1)" }
  }
}
