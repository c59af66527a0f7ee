import BadFiles
import FoundationEssentials
import Glibc
import MarkedYAML
import Testing

extension BadFile {
  /// Reads the text and checks that one of the problems stands at the place and says all phrases.
  func check<Value>(_ read: ([UInt8]) throws -> Value, sourceLocation: SourceLocation = #_sourceLocation) {
    do {
      let value = try read(bytes)
      Issue.record("\(name) was accepted: \(value)", sourceLocation: sourceLocation)
    } catch let error as FileProblems {
      let text = error.description
      let isThere = error.problems.contains { problem in
        "\(problem.place.line):\(problem.place.column)" == place
          && phrases.allSatisfy { problem.description.contains($0) }
      }
      #expect(isThere, "\(name): expected \(place) \(phrases), got:\n\(text)", sourceLocation: sourceLocation)
      #expect(
        error.problems.allSatisfy {
          !$0.what.isEmpty && !$0.instead.isEmpty && $0.place.line > 0 && $0.place.column > 0
        },
        sourceLocation: sourceLocation)
    } catch {
      Issue.record("\(name): \(error)", sourceLocation: sourceLocation)
    }
  }
}

/// Prefixes of a text, and the text with single bytes changed, by a fixed sequence.
func damaged(_ text: String, count: Int) -> [[UInt8]] {
  let bytes = Array(text.utf8)
  var variants: [[UInt8]] = []
  var seed: UInt64 = 0x5EED
  func next(_ bound: Int) -> Int {
    seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((seed >> 33) % UInt64(bound))
  }
  for _ in 0..<count {
    variants.append(Array(bytes.prefix(next(bytes.count))))
    var flipped = bytes
    for _ in 0...next(3) { flipped[next(bytes.count)] = UInt8(next(256)) }
    variants.append(flipped)
    let syntax = Array("*&!|>'\"%@`{}[],:#?-\t\n ".utf8)
    var sharpened = bytes
    for _ in 0...next(3) { sharpened[next(bytes.count)] = syntax[next(syntax.count)] }
    variants.append(sharpened)
  }
  return variants
}

/// The repository's root, from this file's place.
let repositoryRoot = String(#filePath.dropLast("Tests/FilesTests/Checking.swift".count))

/// A folder of its own for a test, removed afterwards.
func inFolder<Value>(_ body: (String) async throws -> Value) async throws -> Value {
  var template = Array("/tmp/switchyard-files-XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
  let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  defer { _ = try? FileManager.default.removeItem(atPath: folder) }  // what is left is in /tmp
  return try await body(folder)
}

/// Writes a file, executable on demand.
func write(_ text: String, to path: String, executable: Bool = false) throws {
  try Data(text.utf8).write(to: URL(filePath: path))
  if executable { chmod(path, 0o755) }
}
