extension Version {
  /// The dotted number that it begins with, behind a `v` where there is one, most significant part first; nil where it begins
  /// with none, so that it can't be compared.
  public var number: [Int]? {
    let digits = (text.first == "v" ? text.dropFirst() : text[...]).prefix {
      $0 == "." || ($0.isASCII && $0.isNumber)
    }
    return VersionBound.parts(of: digits)
  }

  /// Whether it comes before `floor`, by their numbers; among equal ones a pre-release (`-rc1`, `~beta`) comes before what it
  /// leads to (semver.org, clause 11; deb-version(7)), and is not told from another one. What can't be compared is taken to come
  /// before.
  public func isBelow(_ floor: Version) -> Bool {
    guard let ours = number, let theirs = floor.number else { return true }
    let order = VersionBound.order(ours, theirs)
    return order < 0 || order == 0 && isPrerelease && !floor.isPrerelease
  }

  private var isPrerelease: Bool { text.contains("-") || text.contains("~") }
}
