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

  /// What is known only on the host of a release that runs as a container.
  struct Image {
    /// Podman's own file.
    var podman: String
    /// The image's ID.
    var image: Digest
    /// The user and the group that it runs as.
    var user: (id: UInt32, group: UInt32)
  }

  /// The texts of a release in a slot, whose link is at `root`; `image` is needed for a container.
  init(
    _ manifest: ReleaseManifest, in slot: Slot, setup: AgentSetup, root: String, program: String,
    environmentFile: String, image: Image? = nil
  ) throws(HostFailure) {
    try ReleaseRules.check(manifest)
    try ReleaseRules.checkHost(setup.host)
    agent = setup.name
    self.slot = slot
    let port = setup.slots[slot]
    let places = Placeholders(port: port, slot: slot, version: manifest.version, host: setup.host)
    let mark = SlotText.mark(setup.name, slot)
    var after = ""
    var variables =
      [EnvironmentVariable(name: "PORT", value: String(port))]
      + manifest.environment.map {
        EnvironmentVariable(name: $0.name, value: places.fill($0.value))
      }
    if let container = manifest.container {
      guard let image else { throw HostFailure(.system, "the image of \(setup.name) is not known") }
      let text = ContainerText(agent: setup.name, slot: slot, manifest: manifest, container: container)
      let own = places.fill(
        ShippedUnits.container.replacing("{{ agent }}", with: setup.name.text)
          .replacing("{{ memory }}", with: text.memory), escape: Quoting.value)
      unit =
        mark
        + own.replacing("{{ exec }}", with: text.command(image.podman, user: image.user, places: places))
      after =
        "# What is left of the container, should its monitor have been killed.\n\(text.removal(image.podman))\n"
      variables = text.environment(image.image, port: port, places: places)
    } else if let template = manifest.unitTemplate {
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
        \(after)
        """
    environment = variables.map(Quoting.variable).joined()
  }
}
