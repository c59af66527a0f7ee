import RolloutModel

@testable import HostMachine

/// A host in memory: carries out a machine's effects, notes what must never happen, and loses power when told.
struct PretendHost {
  struct Unit: Hashable {
    var active = false
    var answers = true
    var canStart = true
    var restarts = 0
    var invocation = ""
  }

  static let agent = Orders.valid(AgentName("demo"))

  var disk: AgentRecord?
  var now = HostNow(bootID: "boot-1", moment: Moment(milliseconds: 1_000_000))
  var blue = Unit()
  var green = Unit()
  var adopted = Unit(active: true, invocation: "adopted-1")
  var adoptedAtBoot = true
  var traffic: Side?
  var timer: Moment?
  /// What is wrong with the traffic rules.
  var disturbance: String?
  /// False: the traffic driver can't tell who owns traffic, and the record stands.
  var tellsTraffic = true
  var written: [Slot: Digest] = [:]
  var done: [HostEffect] = []
  /// The releases that the last collection of garbage kept.
  var lastKept: [ReleaseManifest] {
    for case .collectGarbage(let keeping) in done.reversed() { return keeping }
    return []
  }
  /// What was done that must never be.
  var wrongs: [String] = []
  /// Effects until the power goes; nil: it stays.
  var power: Int?
  /// Effects that fail, by what they are.
  var failing: (HostEffect) -> Bool = { _ in false }
  /// How they fail.
  var failsAs = HostFailure.Code.system
  private var starts = 0

  subscript(side: Side) -> Unit {
    get {
      switch side {
      case .blue: blue
      case .green: green
      case .adopted: adopted
      }
    }
    set {
      switch side {
      case .blue: blue = newValue
      case .green: green = newValue
      case .adopted: adopted = newValue
      }
    }
  }

  /// Carries an operation out; nil where the power went.
  mutating func run(_ order: AgentOrder) -> AgentAnswer? {
    var machine = HostMachine(agent: Self.agent, record: disk, now: now)
    var event = HostEvent.order(order)
    for _ in 0..<100 {
      let effects = machine.handle(event, at: now)
      event = .outcome(.done)
      for effect in effects {
        if case .reply(let answer) = effect { return answer }
        if let left = power {
          guard left > 0 else { return nil }
          power = left - 1
        }
        done.append(effect)
        if failing(effect) {
          let failure = HostFailure(failsAs, "it was to fail")
          if case .persist = effect { event = .notRecorded(failure) } else { event = .failed(failure) }
          break
        }
        event = .outcome(carryOut(effect))
      }
    }
    wrongs.append("an operation without an end: \(order)")
    return nil
  }

  private mutating func carryOut(_ effect: HostEffect) -> EffectOutcome {
    switch effect {
    case .persist(let record):
      disk = record
      if record.flip?.phase == .armed, timer == nil { wrongs.append("armed without a timer") }
    case .observe: return .observed(observation)
    case .start(let side, _):
      if !self[side].active, self[side].canStart {
        starts += 1
        self[side].active = true
        self[side].restarts = 0
        self[side].invocation = "run-\(starts)"
      }
      return .unit(status(side), lastLines: self[side].active ? [] : ["it would not"])
    case .stop(let side, _):
      if side == traffic, self[side].active, self[side].answers {
        wrongs.append("stopped \(side), which serves")
      }
      if side == disk?.retained, disk?.retention == nil { wrongs.append("stopped \(side), which is kept") }
      self[side].active = false
    case .disable(.adopted): adoptedAtBoot = false
    case .write(let slot, let release): written[slot] = release.digest
    case .empty(let slot): written[slot] = nil
    case .measure: return .have(0)
    case .awaitAnswer(let side, _): return .answer(alive(side) ? nil : "no answer")
    case .moveTraffic(let side):
      if let side, !alive(side), traffic != side { wrongs.append("moved traffic to \(side), which is dead") }
      traffic = side
    case .armTimer(let moment): timer = moment
    default: break
    }
    return .done
  }

  func alive(_ side: Side) -> Bool { self[side].active && self[side].answers }

  private var observation: AgentObservation {
    AgentObservation(
      blue: status(.blue), green: status(.green), adopted: status(.adopted),
      owner: tellsTraffic ? traffic : disk?.owner, disturbance: disturbance)
  }

  func status(_ side: Side) -> UnitStatus {
    let unit = self[side]
    return UnitStatus(
      unit: "demo-\(side.rawValue).service", loadState: "loaded",
      activeState: unit.active ? "active" : "failed",
      subState: "", invocation: unit.invocation, restarts: unit.restarts, result: "success", exitStatus: 0,
      mainPID: 1)
  }

  mutating func pass(_ span: Span) { now.moment = now.moment + span }

  mutating func reboot() {
    now.bootID += "+"
    timer = nil
    traffic = nil
    blue.active = false
    green.active = false
    adopted.active = adoptedAtBoot
    pass(.seconds(5))
  }

  /// What matters of it, without counters.
  var essence: String {
    let flip = disk?.flip.map { "\($0.flip) \($0.phase)" } ?? "-"
    return "traffic \(traffic?.rawValue ?? "-") owner \(disk?.owner?.rawValue ?? "-") flip \(flip) "
      + "retained \(disk?.retained?.rawValue ?? "-") quarantine \(disk?.quarantine != nil) "
      + "blue \(disk?.blue?.release.digest.short ?? "-") \(blue.active) green \(disk?.green?.release.digest.short ?? "-") \(green.active)"
  }
}
