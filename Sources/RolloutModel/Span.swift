/// A length of time in whole milliseconds, written in files as `500ms`, `30s`, `5m`, `1h30m`, `2d`.
public struct Span: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
  /// Never negative.
  public let milliseconds: Int64

  /// No time.
  public static let zero = Span(milliseconds: 0)

  /// The longest span a file may name: ten years. Sums of a few of them stay far from overflow.
  public static let longest = Span(milliseconds: 10 * 366 * 86_400_000)

  /// Negative counts become 0, counts above ``longest`` become that.
  public init(milliseconds: Int64) {
    self.milliseconds = min(max(milliseconds, 0), 10 * 366 * 86_400_000)
  }

  /// Whole seconds, within the same bounds.
  public static func seconds(_ seconds: Int64) -> Span {
    Span(milliseconds: seconds.multipliedReportingOverflow(by: 1000).overflow ? Int64.max : seconds * 1000)
  }

  /// Nil where `text` is not a duration: digits with a unit, units falling, each at most once.
  public init?(_ text: String) {
    let units: [(String, Int64)] = [
      ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]
    var rest = Substring(text)
    var total: Int64 = 0
    var next = 0
    while !rest.isEmpty {
      let digits = rest.prefix(while: { $0.isASCII && $0.isNumber })
      guard digits.count <= 12, let count = Int64(digits) else { return nil }
      rest = rest.dropFirst(digits.count)
      let name = rest.prefix(while: { $0.isASCII && $0.isLetter })
      rest = rest.dropFirst(name.count)
      guard let unit = units[next...].firstIndex(where: { $0.0 == name }) else { return nil }
      let (part, tooLong) = count.multipliedReportingOverflow(by: units[unit].1)
      guard !tooLong, part <= Span.longest.milliseconds else { return nil }
      total += part
      next = unit + 1
    }
    guard next > 0, total <= Span.longest.milliseconds else { return nil }
    milliseconds = total
  }

  /// Decodes a count of milliseconds.
  public init(from decoder: any Decoder) throws {
    self.init(milliseconds: try decoder.singleValueContainer().decode(Int64.self))
  }

  /// Encodes the count of milliseconds.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(milliseconds)
  }

  /// The same span for Swift's clocks.
  public var duration: Duration { .milliseconds(milliseconds) }

  /// Shorter spans first.
  public static func < (left: Span, right: Span) -> Bool { left.milliseconds < right.milliseconds }

  /// As a file would write it: `1h30m`, `41s`, `500ms`.
  public var description: String {
    guard milliseconds > 0 else { return "0s" }
    var rest = milliseconds
    var text = ""
    for (name, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
      as [(String, Int64)]
    where rest >= length {
      text += "\(rest / length)\(name)"
      rest %= length
    }
    return text
  }
}

/// A point on a clock that only runs forward while a machine is up: milliseconds since that machine's boot
/// (CLOCK_BOOTTIME). Two machines' moments are never compared.
public struct Moment: Hashable, Comparable, Sendable, Codable {
  /// Milliseconds since boot.
  public let milliseconds: Int64

  /// The moment this many milliseconds after boot.
  public init(milliseconds: Int64) { self.milliseconds = milliseconds }

  /// Decodes a count of milliseconds.
  public init(from decoder: any Decoder) throws {
    milliseconds = try decoder.singleValueContainer().decode(Int64.self)
  }

  /// Encodes the count of milliseconds.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(milliseconds)
  }

  /// Earlier moments first.
  public static func < (left: Moment, right: Moment) -> Bool { left.milliseconds < right.milliseconds }

  /// The moment `span` later; the end of time where that can't be told.
  public static func + (moment: Moment, span: Span) -> Moment {
    let (sum, over) = moment.milliseconds.addingReportingOverflow(span.milliseconds)
    return Moment(milliseconds: over ? Int64.max : sum)
  }

  /// How long after `earlier` this is; zero where it is not after.
  public func since(_ earlier: Moment) -> Span {
    let (difference, over) = milliseconds.subtractingReportingOverflow(earlier.milliseconds)
    return over ? Span.longest : Span(milliseconds: difference)
  }
}
