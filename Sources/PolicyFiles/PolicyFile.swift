import MarkedYAML
import RolloutModel

/// Reads policy files.
public enum PolicyFile {
  /// The policy in a file. Errors: everything that is wrong with the file, each with its place; where the count of
  /// hosts is known, also what does not fit that fleet; and where that is asked for, playbooks that are not there.
  public static func load(
    path: String, fleet: Int? = nil, playbooksMustExist: Bool = false
  ) throws(FileProblems) -> Policy {
    try parse(
      BoundedFile.read(path: path), name: path, fleet: fleet, playbooksMustExist: playbooksMustExist)
  }

  /// The policy in a text; errors call it `name`, and a playbook's path begins at that name's folder.
  public static func parse(text: String, name: String, fleet: Int? = nil) throws(FileProblems) -> Policy {
    try parse(Array(text.utf8), name: name, fleet: fleet)
  }

  /// The policy in a file's bytes; errors call the file `name`, and a playbook's path begins at that name's folder.
  public static func parse(_ bytes: [UInt8], name: String, fleet: Int? = nil) throws(FileProblems) -> Policy {
    try parse(bytes, name: name, fleet: fleet, playbooksMustExist: false)
  }

  private static func parse(
    _ bytes: [UInt8], name: String, fleet: Int?, playbooksMustExist: Bool
  ) throws(FileProblems) -> Policy {
    let node = try MarkedYAML.parse(bytes, file: name)
    let diagnostics = Diagnostics(file: name)
    let playbooks = PlaybookPaths(folder: folder(of: name), mustExist: playbooksMustExist)
    let policy = Shape<Policy>.policy(fleet: fleet, playbooks).read(node, diagnostics)
    try diagnostics.throwIfAny()
    guard let policy else {
      throw FileProblems(file: name, what: "the file is no policy", instead: "begin it with policy: NAME")
    }
    return policy
  }
}

/// The JSON Schema of a policy file.
public enum PolicySchema {
  /// The schema (draft 2020-12) as text. It is made from the tables that the reader uses; rules between fields (a
  /// timeout within its deadline, waves that grow) are the reader's alone.
  public static var json: String {
    let head = JSONValue.object([
      "$schema": .text("https://json-schema.org/draft/2020-12/schema"),
      "title": .text("Switchyard policy"),
      "description": .text("How a fleet is walked during a rollout."),
    ])
    guard case .object(let first) = head,
      case .object(let rest) = Shape<Policy>.policy(fleet: nil, PlaybookPaths(folder: "", mustExist: false))
        .schema
    else {
      return ""
    }
    return JSONValue.object(first + rest).rendered() + "\n"
  }
}

extension Shape where Value == Policy {
  /// A whole policy, for a fleet of so many hosts where that is known.
  static func policy(fleet: Int?, _ playbooks: PlaybookPaths) -> Shape {
    let name = Field("policy", "the policy's name", .name("the policy's name"))
    let waves = Field(
      "waves", "the waves in order",
      Shape<[WaveDefinition]>.list(of: .wave, "waves", count: 1...100).map(Waves.checked))
    let gate = Field("gate", "what must pass before and after a flip", .gate, otherwise: Defaults.gate)
    let budget = Field(
      "budget", "failures borne; breached when there are more", .budget, otherwise: Defaults.budget)
    let onBreach = Field(
      "on_breach", "halt: stop and leave promoted hosts; rollback: restore every host of the rollout",
      .word("on_breach"), default: Defaults.onBreach)
    let confirmWithin = Field(
      "confirm_within", "the host reverts by itself after this, unconfirmed",
      .span("confirm_within", Limits.confirm), default: Defaults.confirmWithin)
    let keepOld = Field(
      "keep_old", "how long the old slot is kept, counted from the rollout's end", .retention,
      otherwise: Defaults.keepOld)
    let partial = Field(
      "partial", "whether the last wave may stop short of the fleet", .flag, default: Defaults.partial)
    let tolerance = Field(
      "soak_tolerance", "the most unhealthy samples in a row that a soaking host may show",
      .integer("soak_tolerance", 0...1000), default: Defaults.soakTolerance)
    let hooks = Field<WaveHooks?>.optional("hooks", "playbooks around each wave", .hooks(playbooks))
    let prepare = PrepareField(playbooks)
    let fields =
      [
        name.description, waves.description, gate.description, budget.description, onBreach.description,
        confirmWithin.description, keepOld.description, partial.description, tolerance.description,
        hooks.description,
      ] + prepare.descriptions
    return .record("a policy", fields) { record in
      let name = record.read(name)
      let waves = record.read(waves)
      let gate = record.read(gate)
      let budget = record.read(budget)
      let onBreach = record.read(onBreach)
      let confirmWithin = record.read(confirmWithin)
      let keepOld = record.read(keepOld)
      let partial = record.read(partial)
      let tolerance = record.read(tolerance)
      let hooks = record.read(hooks)
      let prepare = prepare.read(record)
      if let waves, let partial {
        Waves.checkEnd(waves, partial: partial, record: record)
        if let fleet { Waves.checkFleet(waves, partial: partial, fleet: fleet, record: record) }
      }
      if let waves, let gate { Waves.checkSoaks(waves, gate: gate, record: record) }
      if let gate, let confirmWithin { checkConfirm(confirmWithin, gate: gate, record: record) }
      guard let name, let waves, let gate, let budget, let onBreach, let confirmWithin, let keepOld,
        let partial,
        let tolerance, let hooks, let prepare
      else { return nil }
      var policy = Policy(
        name: name, waves: waves, gate: gate, budget: budget, onBreach: onBreach,
        confirmWithin: confirmWithin,
        keepOld: keepOld, partial: partial, soakTolerance: tolerance, hooks: hooks)
      policy.prepare = prepare
      return policy
    }
  }

  /// The flip is confirmed by a gate of its own, which must be able to pass in time.
  private static func checkConfirm(_ within: Span, gate: Gate, record: RecordReader) {
    guard gate.shortest >= within else { return }
    record.report(
      record.entry("confirm_within") == nil ? "gate" : "confirm_within",
      "the gate takes at least \(gate.shortest): a flip could never be confirmed within \(within)",
      "write a confirm_within above \(gate.shortest)")
  }
}
