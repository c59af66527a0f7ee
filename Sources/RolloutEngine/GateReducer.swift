import RolloutModel

/// What samples have shown so far.
public enum Verdict: Hashable, Sendable {
  /// Not decided: how many healthy rounds in a row of how many, and what was wrong last.
  case undecided(healthy: Int, needed: Int, lastReason: String?)
  /// Enough healthy rounds in a row.
  case passed
  /// It will not pass any more, and why.
  case failed(String)
}

/// Counts healthy rounds in a row until a gate passes or fails. A round asks every probe once and is healthy when all
/// answers are; an answer that is unknown, late or of another version is not. Time in which nobody looked counts for
/// nothing, and the answers at its end neither. Holds no samples.
public struct GateReducer: Sendable {
  private let gate: Gate
  private var time: WatchedTime
  private var streak = 0
  private var wrongInARow = 0
  private var lastReason: String?

  /// A gate that begins now, by the controller's clock.
  public init(_ gate: Gate, began: Moment) {
    self.gate = gate
    time = WatchedTime(gate, began: began)
  }

  /// Within what time the gate must have passed.
  public func left(at now: Moment) -> Span { time.left(of: gate.deadline, at: now) }

  /// Takes in one round's answers at the time they were complete. A round without answers is not healthy.
  public mutating func take(_ round: [Sample], at now: Moment) -> Verdict {
    guard time.look(at: now) else {
      (streak, wrongInARow) = (0, 0)
      return check(at: now)
    }
    let bad = round.first(where: { gate.complaint(about: $0) != nil })
    if let bad {
      lastReason = gate.complaint(about: bad)
    } else if round.isEmpty {
      lastReason = "no probe was asked"
    }
    let isHealthy = bad == nil && !round.isEmpty
    streak = isHealthy ? streak + 1 : 0
    if case .wrongVersion = bad?.outcome { wrongInARow += 1 } else { wrongInARow = 0 }
    // At least one: a gate that asks for nothing would pass unasked.
    if streak >= max(gate.successes, 1), time.elapsed(at: now) <= gate.deadline { return .passed }
    if wrongInARow >= max(gate.successes, 2) {
      return .failed("another version answers: \(lastReason ?? "")")
    }
    return check(at: now)
  }

  /// Takes in that what the round has led to, as a look at the host, is done.
  public mutating func rest(at now: Moment) { time.rest(at: now) }

  /// The verdict as time goes on without a round.
  private func check(at now: Moment) -> Verdict {
    guard time.elapsed(at: now) < gate.deadline else {
      let last = lastReason.map { "; last: \($0)" } ?? "; nothing was answered"
      return .failed("\(streak) of \(gate.successes) healthy answers in a row within \(gate.deadline)\(last)")
    }
    return .undecided(healthy: streak, needed: gate.successes, lastReason: lastReason)
  }
}

/// Watches a flipped host through its soak. Only samples that the candidate served count: what could not be asked is
/// neither healthy nor a breach. Time in which nobody looked is no part of the soak, and the answers at its end count for nothing.
public struct SoakReducer: Sendable {
  private let length: Span
  private let gate: Gate
  private let tolerance: Int
  private var time: WatchedTime
  private var healthy = 0
  /// Healthy rounds in a row, each with every probe asked.
  private var streak = 0
  private var badInARow = 0
  private var lastReason: String?
  /// How far the soak was when something could not be asked last, and whether that is so still.
  private var blindAt: Span?
  private var isBlind = false

  /// A soak that begins now and bears `tolerance` unhealthy rounds in a row.
  public init(length: Span, gate: Gate, tolerance: Int, began: Moment) {
    self.length = length
    self.gate = gate
    self.tolerance = tolerance
    time = WatchedTime(gate, began: began)
  }

  /// What is left of the soak's length.
  public func left(at now: Moment) -> Span { time.left(of: length, at: now) }

  /// Healthy rounds so far.
  public var samples: Int { healthy }

  /// Takes in one round's answers at the time they were complete.
  public mutating func take(_ round: [Sample], at now: Moment) -> Verdict {
    guard time.look(at: now) else {
      streak = 0
      return check(at: now)
    }
    let asked = round.filter { !$0.isNotAsked }
    isBlind = asked.count < round.count
    if isBlind { blindAt = time.elapsed(at: now) }
    if let complaint = gate.complaint(about: asked) {
      badInARow += 1
      streak = 0
      lastReason = complaint
      if badInARow > tolerance {
        return .failed(
          "\(badInARow) unhealthy answers in a row in the soak, \(tolerance) borne; last: \(complaint)"
        )
      }
    } else if !asked.isEmpty, asked.count == round.count {
      badInARow = 0
      healthy += 1
      streak += 1
    } else {
      streak = 0
      lastReason = round.first(where: { !$0.isHealthy })?.reason ?? lastReason
    }
    return check(at: now)
  }

  /// Takes in that what the round has led to, as a look at the host, is done.
  public mutating func rest(at now: Moment) { time.rest(at: now) }

  /// The verdict as time goes on: at the end of the soak's length the last rounds must have been healthy, as many as the
  /// gate asks for; the gate's deadline is the longest that is waited for them. A host that could not be asked is given that
  /// time anew once it can be, within reason.
  public func check(at now: Moment) -> Verdict {
    let elapsed = time.elapsed(at: now)
    // A soak of no length adds no samples to those that proved the flip.
    if elapsed >= length, length == .zero ? badInARow == 0 : streak >= max(gate.successes, 1) {
      return .passed
    }
    let longest = length.milliseconds + gate.deadline.milliseconds
    let seeing = isBlind ? nil : blindAt.map { $0.milliseconds + gate.deadline.milliseconds }
    // Healthy answers that have begun are waited for: each of the next ones ends the wait, the one way or the other.
    if streak == 0, elapsed.milliseconds > max(longest, min(seeing ?? 0, 2 * longest)) {
      let last = lastReason.map { "; last: \($0)" } ?? ""
      return .failed(
        "not healthy at the end of the soak, \(gate.successes) healthy answers in a row needed\(last)")
    }
    return .undecided(healthy: streak, needed: gate.successes, lastReason: lastReason)
  }
}

extension Gate {
  /// What is wrong with the first answer that is not healthy, or late; nil where there is none.
  fileprivate func complaint(about round: [Sample]) -> String? {
    for sample in round {
      if let complaint = complaint(about: sample) { return complaint }
    }
    return nil
  }

  /// What is wrong with an answer; nil for one that is healthy and in time.
  fileprivate func complaint(about sample: Sample) -> String? {
    if let reason = sample.reason { return reason }
    return sample.took > timeout ? "the answer took \(sample.took), more than \(timeout)" : nil
  }
}
