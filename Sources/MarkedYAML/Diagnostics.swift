/// Collects the problems of one file while it is read, so that all of them are reported at once.
public final class Diagnostics {
  /// The file, as the user named it.
  public let file: String
  private var problems: [Problem] = []
  private var omitted = 0
  private static let most = 50

  /// A collector for a file.
  public init(file: String) {
    self.file = file
  }

  /// Whether anything was reported.
  public var hasProblems: Bool { !problems.isEmpty }

  /// Whether further problems are only counted, so that no work on their wording is worth while.
  public var isFull: Bool { problems.count >= Self.most }

  /// Notes a problem, in `file` where it stands in another one; the same one at the same place is noted once.
  public func report(_ place: Place, _ what: String, _ instead: String, file: String? = nil) {
    add(Problem(file: file ?? self.file, place: place, what: what, instead: instead))
  }

  /// Notes all problems of another collector.
  public func take(_ other: Diagnostics) {
    for problem in other.problems { add(problem) }
    omitted += other.omitted
  }

  private func add(_ problem: Problem) {
    guard !problems.contains(problem) else { return }
    guard !isFull else {
      omitted += 1
      return
    }
    problems.append(problem)
  }

  /// Throws what was reported, by file and place.
  public func throwIfAny() throws(FileProblems) {
    guard hasProblems else { return }
    throw FileProblems(
      problems: problems.sorted { ($0.file, $0.place) < ($1.file, $1.place) }, omitted: omitted)
  }
}
