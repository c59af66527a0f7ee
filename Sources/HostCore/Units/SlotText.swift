import RolloutModel

/// The texts that make a slot: its unit, what is added to any unit, its environment.
struct SlotText {
  let agent: AgentName
  let slot: Slot
  let unit: String
  let addition: String
  let environment: String

  /// The first line of each unit that we write: what lacks it is not ours.
  static func mark(_ agent: AgentName, _ slot: Slot) -> String {
    "# Written by Switchyard for \(agent), \(slot.rawValue) slot. Overwritten: change it with `systemctl edit`.\n"
  }

  /// The texts of a release in a slot, whose link is at `root`.
  init(
    _ manifest: ReleaseManifest, in slot: Slot, setup: AgentSetup, root: String, program: String,
    environmentFile: String
  ) throws(HostFailure) {
    try ReleaseRules.check(manifest)
    try ReleaseRules.checkHost(setup.host)
    agent = setup.name
    self.slot = slot
    let port = setup.slots[slot]
    let places = Placeholders(port: port, slot: slot, version: manifest.version, host: setup.host)
    let mark = SlotText.mark(setup.name, slot)
    if let template = manifest.unitTemplate {
      unit = mark + places.fill(template, escape: Quoting.value) + (template.hasSuffix("\n") ? "" : "\n")
    } else {
      let command = ["\(root)/\(manifest.exec)"] + manifest.args.map { places.fill($0) }
      // In this order: an argument may hold what looks like a placeholder of the unit.
      let own = ShippedUnits.agent
        .replacing("{{ agent }}", with: setup.name.text)
        .replacing("{{ user }}", with: manifest.user)
        .replacing("{{ root }}", with: root)
      let filled = places.fill(own, escape: Quoting.value)
      unit =
        mark + filled.replacing("{{ exec }}", with: command.map(Quoting.word).joined(separator: " "))
    }
    addition =
      mark
        + """
        [Service]
        EnvironmentFile=\(environmentFile)
        # A unit that fails in probation undoes its flip.
        ExecStopPost=+\(program) stopped \(setup.name) \(slot.rawValue)

        """
    environment =
      Quoting.variable(EnvironmentVariable(name: "PORT", value: String(port)))
      + manifest.environment
      .map { Quoting.variable(EnvironmentVariable(name: $0.name, value: places.fill($0.value))) }
      .joined()
  }
}
