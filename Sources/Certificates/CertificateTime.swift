import FoundationEssentials
import SwiftASN1

/// Times in certificates and lists: whole seconds in UTC, in two forms. Here they are milliseconds since 1970, as everywhere.
enum CertificateTime {
  /// What a clock may say: a machine that has lost its time must sign nothing.
  static let believable: ClosedRange<Int64> = 1_500_000_000_000...7_258_118_400_000
  /// What a certificate may say: 1970 to 9999.
  static let expressible: ClosedRange<Int64> = 0...253_402_300_799_000
  static let day: Int64 = 86_400_000
  /// How far back in time a certificate and a list begin, for hosts whose clocks are behind.
  static let slack: Int64 = 300_000

  /// The same time in whole seconds.
  static func trimmed(_ wall: Int64) -> Int64 { wall / 1000 * 1000 }

  /// What can't be said becomes the first or last time that can.
  static func date(_ wall: Int64) -> Date {
    Date(timeIntervalSince1970: Double(min(max(wall, expressible.lowerBound), expressible.upperBound) / 1000))
  }

  /// The time of a date; what can't be said becomes the first or last time that can.
  static func wall(_ date: Date) -> Int64 {
    let seconds = date.timeIntervalSince1970
    guard seconds > 0 else { return expressible.lowerBound }
    guard seconds < 253_402_300_799 else { return expressible.upperBound }
    return Int64(seconds) * 1000
  }

  /// Appends a time as RFC 5280 wants it: UTCTime through 2049, GeneralizedTime from 2050.
  static func append(_ wall: Int64, to coder: inout DER.Serializer) throws {
    let seconds = min(max(wall, expressible.lowerBound), expressible.upperBound) / 1000
    let (day, clock) = (civil(day: seconds / 86_400), seconds % 86_400)
    let (hours, minutes, rest) = (Int(clock / 3600), Int(clock / 60 % 60), Int(clock % 60))
    if day.year < 2050 {
      try coder.serialize(
        UTCTime(
          year: day.year, month: day.month, day: day.day, hours: hours, minutes: minutes, seconds: rest))
    } else {
      try coder.serialize(
        GeneralizedTime(
          year: day.year, month: day.month, day: day.day, hours: hours, minutes: minutes, seconds: rest,
          fractionalSeconds: 0))
    }
  }

  /// Reads a time in either form.
  static func wall(of node: ASN1Node) throws -> Int64 {
    switch node.identifier {
    case .utcTime:
      let time = try UTCTime(derEncoded: node)
      return try wall(
        year: time.year, month: time.month, day: time.day,
        seconds: time.hours * 3600 + time.minutes * 60 + time.seconds)
    case .generalizedTime:
      let time = try GeneralizedTime(derEncoded: node)
      guard time.rawFractionalSeconds.isEmpty else { throw MalformedList("a time has parts of a second") }
      return try wall(
        year: time.year, month: time.month, day: time.day,
        seconds: time.hours * 3600 + time.minutes * 60 + time.seconds)
    default: throw MalformedList("something else stands where a time should")
    }
  }

  /// The day is one of the calendar: SwiftASN1 has seen to that.
  private static func wall(year: Int, month: Int, day: Int, seconds: Int) throws -> Int64 {
    guard (1970...9999).contains(year) else { throw MalformedList("a time is before 1970") }
    // Counted from March, so that the leap day is the last one of its year.
    let shifted = month <= 2 ? year - 1 : year
    let days = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    let epoch = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + days - 719_468
    return (Int64(epoch) * 86_400 + Int64(seconds)) * 1000
  }

  /// The day of the calendar that is so many days after the first one of 1970.
  private static func civil(day: Int64) -> (year: Int, month: Int, day: Int) {
    // Counted from 1 March of the year 0: in 400 years the calendar repeats.
    let shifted = Int(day) + 719_468
    let (era, inEra) = (shifted / 146_097, shifted % 146_097)
    let yearOfEra = (inEra - inEra / 1460 + inEra / 36_524 - inEra / 146_096) / 365
    let inYear = inEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let fromMarch = (5 * inYear + 2) / 153
    let month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, inYear - (153 * fromMarch + 2) / 5 + 1)
  }
}
