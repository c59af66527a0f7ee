import CCurl
import EventLoop
import Glibc
import Ports
import RolloutModel

/// Runs probes on the loop, a bounded number at once, the others waiting in the order in which they came.
actor ProbeQueue {
  /// What a probe brought, not judged yet.
  enum Reply: Sendable {
    /// An HTTP answer, complete or cut.
    case answer(Answer)
    /// No answer to judge: the outcome stands.
    case verdict(Sample.Outcome)
  }

  private final class Job {
    let request: ProbeRequest
    let target: Target
    let continuation: CheckedContinuation<Reply, Never>
    var transfer: Transfer?
    var timer: LoopTimer?
    /// Over the descriptor of a connection through a tunnel whose fate is awaited.
    var watch: Watch?

    init(_ request: ProbeRequest, _ target: Target, _ continuation: CheckedContinuation<Reply, Never>) {
      self.request = request
      self.target = target
      self.continuation = continuation
    }
  }

  private let loop: EventLoop
  private let multi: MultiHandle
  private let userAgent: String
  private let limit: Int
  private let tunnelGrace: Span
  private var jobs: [UInt64: Job] = [:]
  private var running = 0
  /// Jobs are numbered as they come and begun in that order: those from `nextToBegin` on wait.
  private var nextID: UInt64 = 0
  private var nextToBegin: UInt64 = 0

  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  /// Nil where there is no memory for libcurl.
  init?(loop: EventLoop, userAgent: String, limit: Int, tunnelGrace: Span) {
    guard let multi = MultiHandle(loop: loop) else { return nil }
    self.loop = loop
    self.multi = multi
    self.userAgent = userAgent
    self.limit = max(1, limit)
    self.tunnelGrace = tunnelGrace
    multi.onDone = { [weak self] id, code in self?.assumeIsolated { $0.transferEnded(id, code) } }
  }

  /// Asks, and waits for what comes. A cancelled caller gets its reply at once.
  func ask(_ request: ProbeRequest, at target: Target) async -> Reply {
    let id = nextID
    nextID += 1
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let job = Job(request, target, continuation)
        jobs[id] = job
        job.timer = timer(request.timeout) { queue in
          queue.finish(
            id, .verdict(.notAsked("waited \(request.timeout) behind \(queue.running) other probes")))
        }
        beginNext()
      }
    } onCancel: {
      loop.submit { self.assumeIsolated { $0.finish(id, .verdict(.notAsked("cancelled"))) } }
    }
  }

  private func timer(_ span: Span, _ body: @escaping @Sendable (isolated ProbeQueue) -> Void) -> LoopTimer {
    loop.after(span.duration) { [weak self] in self?.assumeIsolated { body($0) } }
  }

  private func beginNext() {
    while running < limit, nextToBegin < nextID {
      let id = nextToBegin
      nextToBegin += 1
      // Nil: it has been cancelled, or has waited for too long.
      if let job = jobs[id] { begin(id, job) }
    }
  }

  private func begin(_ id: UInt64, _ job: Job) {
    job.timer?.cancel()
    let request = job.request
    do {
      let transfer = try Transfer(id: id, request: request, target: job.target, userAgent: userAgent)
      job.transfer = transfer
      running += 1
      job.timer = timer(request.timeout) { $0.transferIsOverdue(id) }
      let code = multi.add(transfer)
      if code != CURLM_OK { finish(id, .verdict(.notAsked(String(cString: curl_multi_strerror(code))))) }
    } catch {
      finish(id, .verdict(.notAsked(String(cString: curl_easy_strerror(error.code)))))
    }
  }

  private func finish(_ id: UInt64, _ reply: Reply) {
    guard let job = jobs.removeValue(forKey: id) else { return }
    job.timer?.cancel()
    job.watch?.cancel()
    if let transfer = job.transfer {
      multi.remove(transfer)
      running -= 1
    }
    job.continuation.resume(returning: Self.attributed(reply, to: job.target.socket))
    beginNext()
  }

  /// A tunnel that has lost its way to the host takes its socket away before it closes what it had accepted: that says
  /// nothing of the far side.
  private static func attributed(_ reply: Reply, to socket: String?) -> Reply {
    guard let socket, case .verdict(.noAnswer(Failures.closedTunnel)) = reply, access(socket, F_OK) != 0
    else { return reply }
    return .verdict(.notAsked("tunnel: no way to the host"))
  }

  private func transferEnded(_ id: UInt64, _ code: CURLcode) {
    guard let job = jobs[id], let transfer = job.transfer else { return }
    let isTunnel = job.target.socket != nil
    let isCut = code == CURLE_WRITE_ERROR && transfer.builder.answer.isCut
    if code != CURLE_OK, !isCut {
      finish(id, .verdict(Failures.outcome(of: transfer, code, isTunnel: isTunnel)))
    } else if job.request.probe.question != .tcp {
      finish(id, .answer(transfer.builder.answer))
    } else if isTunnel {
      awaitFate(id, job, transfer)
    } else {
      finish(id, .verdict(.healthy))
    }
  }

  private func transferIsOverdue(_ id: UInt64) {
    guard let job = jobs[id], let transfer = job.transfer else { return }
    let request = job.request
    finish(
      id,
      .verdict(
        Failures.overdue(transfer, timeout: request.timeout, question: request.probe.question)))
  }

  // MARK: TCP through a tunnel

  /// The tunnel accepts before it knows whether the far side does, and closes without a byte when that refused. So a
  /// connection is taken as accepted once a byte has come, or once it has stayed open for the grace, or for half of
  /// the timeout where that is shorter. A refusal that takes longer than this to come back is not seen.
  private func awaitFate(_ id: UInt64, _ job: Job, _ transfer: Transfer) {
    guard let descriptor = transfer.activeSocket else {
      return finish(id, .verdict(.noAnswer(Failures.closedTunnel)))
    }
    let grace = min(tunnelGrace, Span(milliseconds: job.request.timeout.milliseconds / 2))
    job.timer?.cancel()
    job.timer = timer(grace) { $0.finish(id, .verdict(.healthy)) }
    do {
      job.watch = try loop.watch(descriptor, .read) { [weak self] _ in
        self?.assumeIsolated { $0.finish(id, .verdict(Self.fate(of: descriptor))) }
      }
    } catch {
      finish(id, .verdict(.notAsked("tunnel: \(error)")))
    }
  }

  private static func fate(of descriptor: Int32) -> Sample.Outcome {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
    return count > 0 ? .healthy : .noAnswer(Failures.closedTunnel)
  }
}
