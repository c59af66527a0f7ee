import EventLoop
import Ports
import RolloutModel

/// The prober: HTTP, HTTPS and TCP by libcurl on an event loop, judged off it.
///
/// Each sample has a connection of its own and knows no proxy, cookie, password file or redirect: a redirect is
/// judged by its own status. HTTP is spoken as version 1.1. Of an answer at most 64 KiB of header fields and 64 KiB of
/// body are read; expectations of a longer body are held against its first 64 KiB. Nothing is decompressed. TLS begins
/// at version 1.2; certificates are checked against the system's authorities and the route's address.
///
/// A bounded number of probes is in flight. A probe that finds no place waits for at most its own timeout, and has its
/// whole timeout from then on.
///
/// A tunnel accepts a TCP probe before it knows whether the far side does, and closes without a byte where that refused:
/// such a probe is healthy once a byte has come, or once the connection has stayed open for a grace.
public final class CurlProber: Prober {
  private let queue: ProbeQueue
  private let patterns: PatternMatcher

  /// A prober on `loop`; `version` is this program's own, for the User-Agent field. `tunnelGrace` is to be longer than
  /// a refusal takes to come back through a tunnel. Nil where there is no memory for libcurl.
  public init?(
    loop: EventLoop, version: String, inFlight: Int = 512, tunnelGrace: Span = .seconds(1)
  ) {
    let queue = ProbeQueue(
      loop: loop, userAgent: "switchyard/\(version)", limit: inFlight, tunnelGrace: tunnelGrace)
    guard let queue else { return nil }
    self.queue = queue
    patterns = PatternMatcher(loop: loop)
  }

  /// Takes one sample over a fresh connection. The request's route says the port; the probe's own is not looked at.
  /// When the task is cancelled the answer is `notAsked` at once.
  public func sample(_ request: ProbeRequest) async -> Sample {
    let start = EventLoop.now
    let outcome = await outcome(of: request, start: start)
    let took = (EventLoop.now - start).components
    return Sample(
      outcome: outcome,
      took: Span(milliseconds: took.seconds * 1000 + took.attoseconds / 1_000_000_000_000_000))
  }

  private func outcome(of request: ProbeRequest, start: ContinuousClock.Instant) async -> Sample.Outcome {
    let target: Target
    do throws(Target.Invalid) {
      target = try Target(request)
    } catch {
      return .notAsked(error.reason)
    }
    switch await queue.ask(request, at: target) {
    case .verdict(let outcome): return outcome
    case .answer(let answer):
      let judged = Judge(expect: request.probe.expect, version: request.version).outcome(of: answer)
      guard judged == .healthy, let pattern = request.probe.expect.bodyMatches else { return judged }
      // What is left of the timeout, but some time in any case: the answer has come in time.
      let deadline = max(start + request.timeout.duration, EventLoop.now + .milliseconds(250))
      return await matched(pattern, answer, by: deadline)
    }
  }

  private func matched(
    _ pattern: String, _ answer: Answer, by deadline: ContinuousClock.Instant
  ) async -> Sample.Outcome {
    let named = "/\(escapedForTerminal(pattern, limit: 80))/"
    return switch await patterns.match(pattern, in: answer.body, by: deadline) {
    case .found: .healthy
    case .notFound: .unhealthy("body does not match \(named)\(answer.extent)")
    case .invalid: .notAsked("\(named) is not a regular expression")
    case .overdue: .noAnswer("\(named) took too long to match; a simpler pattern would not")
    case .notTried: .notAsked("\(named) was not tried: other matches run for too long; simplify the patterns")
    }
  }
}
