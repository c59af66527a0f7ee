import CLinux
import Glibc
import Synchronization

/// One thread that waits for file descriptors and timers, and runs the jobs of the actors that name it as their
/// executor. Libraries driven by file descriptors live on it: what runs here never blocks.
///
/// An actor on the loop:
/// ```swift
/// actor Connection {
///   let loop: EventLoop
///   nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
/// }
/// ```
/// Handlers of watches and timers run on the loop, so they may use `assumeIsolated` of such an actor.
///
/// The thread keeps the loop alive until `stop()`. A job that comes after the stop still runs, on a thread started
/// for it, so that no task hangs.
///
/// `@unchecked Sendable`: `inbox` and `thread` are synchronized; everything else is touched by the loop's thread
/// alone, which `precondition(isCurrent)` checks at every entrance.
public final class EventLoop: SerialExecutor, @unchecked Sendable {
  private enum Work {
    case job(UnownedJob)
    case body(@Sendable () -> Void)
  }

  private struct Inbox {
    var work: [Work] = []
    var isStopping = false
    var hasThread = false
  }

  /// The thread's name, 15 bytes at most.
  public let name: String
  private let inbox = Mutex(Inbox())
  /// `pthread_self()` of the loop's thread; 0 while there is none.
  private let thread = Atomic<UInt>(0)

  private let epoll: Int32
  private let wakeup: Int32
  private let clock: Int32

  // Of the loop's thread alone:
  private var watches: [Watch?] = []
  private var generations: [UInt32] = []
  private var freeSlots: [Int] = []
  private var timers = TimerQueue()
  private var armedDeadline: ContinuousClock.Instant?

  private static let wakeupToken = UInt64.max
  private static let clockToken = UInt64.max - 1

  /// Starts the loop's thread.
  public init(name: String) throws(EventLoopError) {
    self.name = name
    (epoll, wakeup, clock) = try Self.openDescriptors()
    // From here on deinit closes them.
    for (descriptor, token) in [(wakeup, Self.wakeupToken), (clock, Self.clockToken)] {
      var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: token))
      _ = try Self.checked("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event))
    }
    let code = startThread()
    if code != 0 { throw EventLoopError(call: "pthread_create", code: code) }
  }

  deinit {
    for descriptor in [clock, wakeup, epoll] { close(descriptor) }
  }

  // MARK: From any thread

  /// The instant that deadlines are measured against.
  public static var now: ContinuousClock.Instant { ContinuousClock.now }

  /// True on the loop's thread.
  public var isCurrent: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

  /// Runs `body` on the loop, after everything that was queued before.
  public func submit(_ body: @escaping @Sendable () -> Void) { add(.body(body)) }

  /// Ends the thread once everything queued has run. Watches and timers that are left are dropped.
  public func stop() {
    inbox.withLock { $0.isStopping = true }
    wake()
  }

  /// Queues a job of an actor that lives on the loop.
  public func enqueue(_ job: consuming ExecutorJob) { add(.job(UnownedJob(job))) }

  /// Aborts unless called on the loop's thread.
  public func checkIsolated() {
    precondition(isCurrent, "not on the event loop \(name)")
  }

  /// True on the loop's thread.
  public func isIsolatingCurrentContext() -> Bool? { isCurrent }

  // MARK: On the loop only

  /// Tells `handler`, on the loop, whenever `descriptor` is ready for `interest`, hung up or in error. One watch per
  /// descriptor. On the loop only.
  public func watch(
    _ descriptor: Int32, _ interest: Interest, _ handler: @escaping (Readiness) -> Void
  ) throws(EventLoopError) -> Watch {
    checkIsolated()
    let slot = freeSlots.popLast() ?? watches.count
    if slot == watches.count {
      watches.append(nil)
      generations.append(0)
    }
    let watch = Watch(
      loop: self, descriptor: descriptor, slot: slot, generation: generations[slot], interest: interest,
      handler: handler)
    var event = epoll_event(events: interest.epollBits, data: epoll_data_t(u64: watch.token))
    if epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0 {
      freeSlots.append(slot)
      throw EventLoopError(call: "epoll_ctl", code: errno)
    }
    watches[slot] = watch
    return watch
  }

  /// Runs `body` on the loop at `deadline`, or as soon as possible after it. On the loop only.
  @discardableResult
  public func at(_ deadline: ContinuousClock.Instant, _ body: @escaping () -> Void) -> LoopTimer {
    checkIsolated()
    let timer = LoopTimer(deadline: deadline, body: body) { [unowned self] in
      checkIsolated()
      timers.noteCancel()
    }
    timers.insert(timer)
    return timer
  }

  /// Runs `body` on the loop after `delay`. On the loop only.
  @discardableResult
  public func after(_ delay: Duration, _ body: @escaping () -> Void) -> LoopTimer {
    at(Self.now + delay, body)
  }

  func change(_ watch: Watch) {
    checkIsolated()
    var event = epoll_event(events: watch.interest.epollBits, data: epoll_data_t(u64: watch.token))
    guard epoll_ctl(epoll, EPOLL_CTL_MOD, watch.descriptor, &event) != 0 else { return }
    after(.zero) { [weak self, weak watch] in
      guard let watch, self?.watches[watch.slot] === watch else { return }
      watch.handler(.hangup)
    }
  }

  func remove(_ watch: Watch) {
    checkIsolated()
    // The result doesn't matter: a descriptor that is closed already has left the epoll set by itself.
    var event = epoll_event()
    epoll_ctl(epoll, EPOLL_CTL_DEL, watch.descriptor, &event)
    watches[watch.slot] = nil
    generations[watch.slot] &+= 1
    freeSlots.append(watch.slot)
  }

  // MARK: The thread

  private func add(_ work: Work) {
    let (wasEmpty, needsThread) = inbox.withLock { inbox in
      let before = (inbox.work.isEmpty, !inbox.hasThread)
      inbox.work.append(work)
      return before
    }
    if needsThread {
      let code = startThread()
      precondition(code == 0, EventLoopError(call: "pthread_create", code: code).description)
    } else if wasEmpty, !isCurrent {
      wake()
    }
  }

  private func wake() {
    var one: UInt64 = 1
    // A full counter (EAGAIN) means that a wake-up is pending already.
    _ = write(wakeup, &one, 8)
  }

  private func startThread() -> Int32 {
    let isFirst = inbox.withLock { inbox in
      defer { inbox.hasThread = true }
      return !inbox.hasThread
    }
    guard isFirst else { return 0 }
    var created = pthread_t()
    let context = Unmanaged.passRetained(self)
    let code = pthread_create(
      &created, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<EventLoop>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    if code == 0 { pthread_detach(created) } else { context.release() }
    return code
  }

  private func run() {
    thread.store(UInt(pthread_self()), ordering: .relaxed)
    pthread_setname_np(pthread_self(), String(decoding: name.utf8.prefix(15), as: UTF8.self))
    // Signals of the process are for its main thread.
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    var events = [epoll_event](repeating: epoll_event(), count: 256)
    while runQueued() {
      arm()
      let count = epoll_wait(epoll, &events, Int32(events.count), hasQueued ? 0 : -1)
      for event in events.prefix(Int(max(0, count))) { dispatch(event) }
      let now = Self.now
      while let timer = timers.popDue(at: now) { timer.fire() }
    }
  }

  private func dropAll() {
    for case .some(let watch) in watches { watch.cancel() }
    timers = TimerQueue()
  }

  private var hasQueued: Bool { inbox.withLock { !$0.work.isEmpty || $0.isStopping } }

  /// Runs what is queued now, not what that queues in turn. False: the thread is to end.
  private func runQueued() -> Bool {
    // Before the end, not after it: then another thread may be the loop's.
    if inbox.withLock({ $0.isStopping }) { dropAll() }
    let (batch, isEnd) = inbox.withLock { inbox in
      let batch = inbox.work
      inbox.work.removeAll(keepingCapacity: true)
      let isEnd = batch.isEmpty && inbox.isStopping
      if isEnd {
        inbox.hasThread = false
        thread.store(0, ordering: .relaxed)
      }
      return (batch, isEnd)
    }
    for work in batch {
      switch work {
      case .job(let job): job.runSynchronously(on: asUnownedSerialExecutor())
      case .body(let body): body()
      }
    }
    return !isEnd
  }

  private func dispatch(_ event: epoll_event) {
    switch event.data.u64 {
    case Self.wakeupToken, Self.clockToken:
      var count: UInt64 = 0
      // EAGAIN: somebody has read it already; the loop looks at its queues and timers in any case.
      _ = read(event.data.u64 == Self.wakeupToken ? wakeup : clock, &count, 8)
      if event.data.u64 == Self.clockToken { armedDeadline = nil }
    case let token:
      let slot = Int(token & 0xffff_ffff)
      guard watches.indices.contains(slot), let watch = watches[slot], watch.token == token else { return }
      watch.handler(Readiness(epollBits: event.events))
    }
  }

  /// Sets the timer descriptor to the earliest deadline.
  private func arm() {
    guard let deadline = timers.earliest(), deadline != armedDeadline else { return }
    armedDeadline = deadline
    // At least a nanosecond: zero would switch the timer off.
    let delay = max(deadline - Self.now, .nanoseconds(1)).components
    var setting = itimerspec()
    setting.it_value = timespec(
      tv_sec: Int(min(delay.seconds, 1 << 32)), tv_nsec: Int(delay.attoseconds / 1_000_000_000))
    timerfd_settime(clock, 0, &setting, nil)
  }

  private static func openDescriptors() throws(EventLoopError) -> (Int32, Int32, Int32) {
    let epoll = try checked("epoll_create1", epoll_create1(Int32(EPOLL_CLOEXEC)))
    do throws(EventLoopError) {
      let wakeup = try checked("eventfd", eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)))
      do throws(EventLoopError) {
        // BOOTTIME is the clock of ContinuousClock: durations go on while the machine sleeps.
        let clock = try checked(
          "timerfd_create", timerfd_create(CLOCK_BOOTTIME, Int32(TFD_CLOEXEC | TFD_NONBLOCK)))
        return (epoll, wakeup, clock)
      } catch {
        close(wakeup)
        throw error
      }
    } catch {
      close(epoll)
      throw error
    }
  }

  private static func checked(_ call: String, _ result: Int32) throws(EventLoopError) -> Int32 {
    if result < 0 { throw EventLoopError(call: call, code: errno) }
    return result
  }
}
