import MarkedYAML
import RolloutModel

extension Shape where Value == WaveDefinition {
  private static var name: Field<String> {
    Field("name", "the wave's name, unique in the policy", .name("the wave's name"))
  }
  private static var hosts: Field<Amount> {
    Field(
      "hosts", "how far the rollout has come when the wave is done: a count or a share of the fleet",
      .amount("hosts", least: 1))
  }
  private static var batch: Field<Amount> {
    Field(
      "batch", "most hosts in flight at once: a count or a share of the wave", .amount("batch", least: 1),
      default: Defaults.batch)
  }
  private static var soak: Field<Span> {
    Field(
      "soak", "how long a flipped host is watched before it is promoted",
      .span("soak", .zero...Limits.soak), default: Defaults.soak)
  }
  private static var approve: Field<Bool> {
    Field("approve", "whether a person must approve before the wave starts", .flag, default: Defaults.approve)
  }

  /// One wave.
  static var wave: Shape {
    let (name, hosts, batch, soak, approve) = (name, hosts, batch, soak, approve)
    let fields = [
      name.description, hosts.description, batch.description, soak.description, approve.description,
    ]
    return .record("a wave", fields) { record in
      let name = record.read(name)
      let hosts = record.read(hosts)
      let batch = record.read(batch)
      let soak = record.read(soak)
      let approve = record.read(approve)
      guard let name, let hosts, let batch, let soak, let approve else { return nil }
      return WaveDefinition(name: name, hosts: hosts, batch: batch, soak: soak, approve: approve)
    }
  }
}

extension Shape where Value == Gate {
  /// The gate.
  static var gate: Shape {
    let successes = Field(
      "successes", "healthy answers in a row that pass", .integer("successes", 1...1000),
      default: Defaults.successes)
    let interval = Field(
      "interval", "from the start of one sample to the start of the next",
      .span("interval", Limits.interval), default: Defaults.interval)
    let timeout = Field(
      "timeout", "the most that one sample may take", .span("timeout", Limits.timeout),
      default: Defaults.timeout)
    let deadline = Field(
      "deadline", "from the gate's start until it must have passed",
      .span("deadline", Limits.deadline), default: Defaults.deadline)
    let fields = [successes.description, interval.description, timeout.description, deadline.description]
    return .record("the gate", fields) { record in
      let successes = record.read(successes)
      let interval = record.read(interval)
      let timeout = record.read(timeout)
      let deadline = record.read(deadline)
      guard let successes, let interval, let timeout, let deadline else { return nil }
      let gate = Gate(successes: successes, interval: interval, timeout: timeout, deadline: deadline)
      if timeout > deadline {
        record.report(
          record.entry("timeout") == nil ? "deadline" : "timeout",
          "the timeout \(timeout) of one sample is longer than the gate's deadline \(deadline)",
          "write a timeout of at most \(deadline)")
        return nil
      }
      if gate.shortest > deadline {
        record.report(
          "deadline",
          "\(successes) successes, one every \(interval), take \(gate.shortest): the deadline \(deadline) is before that",
          "write a deadline above \(gate.shortest)")
        return nil
      }
      return gate
    }
  }
}

extension Gate {
  /// From the first to the last of the samples that pass it.
  var shortest: Span {
    let (product, overflow) = interval.milliseconds.multipliedReportingOverflow(by: Int64(successes - 1))
    return Span(milliseconds: overflow ? Int64.max : product)
  }
}

extension Shape where Value == Budget {
  /// The budget.
  static var budget: Shape {
    let canary = Field(
      "canary", "failures borne in the first wave", .amount("canary", least: 0),
      default: Defaults.canaryBudget)
    let wave = Field(
      "wave", "failures borne in any later wave, of its hosts", .amount("wave", least: 0),
      default: Defaults.waveBudget)
    let fleet = Field(
      "fleet", "failures borne in the whole fleet", .amount("fleet", least: 0), default: Defaults.fleetBudget)
    let unreachable = Field(
      "unreachable", "hosts that can't be reached before they start, of the whole fleet",
      .amount("unreachable", least: 0), default: Defaults.unreachableBudget)
    let fields = [canary.description, wave.description, fleet.description, unreachable.description]
    return .record("the budget", fields) { record in
      let canary = record.read(canary)
      let wave = record.read(wave)
      let fleet = record.read(fleet)
      let unreachable = record.read(unreachable)
      guard let canary, let wave, let fleet, let unreachable else { return nil }
      return Budget(canary: canary, wave: wave, fleet: fleet, unreachable: unreachable)
    }
  }
}

extension Shape where Value == Retention {
  /// How long an old slot is kept.
  static var retention: Shape {
    let running = Field(
      "running", "the old slot's unit keeps running this long after the rollout's end",
      .span("running", .zero...Limits.kept), default: Defaults.keepRunning)
    let installed = Field(
      "installed", "the old release stays installed this long; never less than running",
      .span("installed", .zero...Limits.kept), default: Defaults.keepInstalled)
    return .record("keep_old", [running.description, installed.description]) { record in
      let running = record.read(running)
      let installed = record.read(installed)
      guard let running, let installed else { return nil }
      guard running <= installed else {
        record.report(
          record.entry("running") == nil ? "installed" : "running",
          "the old slot would run for \(running) and be installed for only \(installed)",
          "write an installed of at least \(running)")
        return nil
      }
      return Retention(running: running, installed: installed)
    }
  }
}

/// The longest and shortest times that a policy may name.
enum Limits {
  static let soak = Span.seconds(30 * 86_400)
  static let interval = Span(milliseconds: 50)...Span.seconds(3600)
  static let timeout = Span(milliseconds: 10)...Span.seconds(600)
  static let deadline = Span(milliseconds: 100)...Span.seconds(86_400)
  static let confirm = Span.seconds(1)...Span.seconds(3600)
  static let kept = Span.seconds(366 * 86_400)
  static let drain = Span.seconds(86_400)
}
