import MarkedYAML
import RolloutModel

/// The rules between the waves of a policy, as far as they can be told without the fleet.
enum Waves {
  /// The waves; nil where a name stands twice or a wave adds no host to the one before it.
  static func checked(
    _ waves: [WaveDefinition], _ node: MarkedNode, _ diagnostics: Diagnostics
  ) -> [WaveDefinition]? {
    var isGood = true
    for (index, wave) in waves.enumerated() {
      if waves[..<index].contains(where: { $0.name == wave.name }) {
        isGood = false
        diagnostics.report(
          place(node, index, "name"), "the wave name \(quoted(wave.name)) stands twice",
          "give each wave a name of its own")
      }
      guard index > 0, let complaint = complaint(wave.hosts, after: waves[index - 1].hosts) else { continue }
      isGood = false
      diagnostics.report(place(node, index, "hosts"), complaint.what, complaint.instead)
    }
    return isGood ? waves : nil
  }

  /// The last wave reaches the whole fleet, or the policy says `partial: true`. A count can be told only with a fleet.
  static func checkEnd(_ waves: [WaveDefinition], partial: Bool, record: RecordReader) {
    guard !partial, let last = waves.last, case .share(let points) = last.hosts, points < 10_000,
      let node = record.entry("waves")?.value
    else { return }
    record.diagnostics.report(
      place(node, waves.count - 1, "hosts"), "the last wave stops at \(last.hosts) of the fleet",
      "write 100%, or partial: true in the policy")
  }

  /// With the fleet known, counts and shares can be compared: no wave ends before the one in front of it, and a last
  /// wave given as a count reaches everybody.
  static func checkFleet(_ waves: [WaveDefinition], partial: Bool, fleet: Int, record: RecordReader) {
    guard let node = record.entry("waves")?.value else { return }
    var reached = 0
    for (index, wave) in waves.enumerated() {
      let hosts = wave.hosts.ofHosts(fleet)
      if hosts < reached {
        record.diagnostics.report(
          place(node, index, "hosts"),
          "of \(fleet) hosts, the wave ends at \(hosts) and the one before it at \(reached)",
          "order the waves by size")
      }
      reached = max(reached, hosts)
    }
    guard !partial, reached < fleet, case .count? = waves.last?.hosts else { return }
    record.diagnostics.report(
      place(node, waves.count - 1, "hosts"), "the last wave stops at \(reached) of \(fleet) hosts",
      "write 100%, or partial: true in the policy")
  }

  /// A soak shorter than the interval of its samples would see nothing.
  static func checkSoaks(_ waves: [WaveDefinition], gate: Gate, record: RecordReader) {
    guard let node = record.entry("waves")?.value else { return }
    for (index, wave) in waves.enumerated() where wave.soak > .zero && wave.soak < gate.interval {
      record.diagnostics.report(
        place(node, index, "soak"),
        "the soak \(wave.soak) ends before its first sample, one every \(gate.interval)",
        "write a soak of at least \(gate.interval), or 0s for none")
    }
  }

  private static func complaint(_ hosts: Amount, after earlier: Amount) -> Complaint? {
    let shrinks =
      switch (earlier, hosts) {
      case (.count(let before), .count(let now)): now <= before
      case (.share(let before), .share(let now)): now <= before
      case (.share(let before), .count): before >= 10_000
      case (.count, .share): false
      }
    guard shrinks else { return nil }
    return Complaint(
      "the wave ends at \(hosts) and the one before it at \(earlier) already",
      "waves grow: hosts says how far the rollout has come, not how many hosts are added")
  }

  private static func place(_ node: MarkedNode, _ index: Int, _ key: String) -> Place {
    guard let elements = node.elements, elements.indices.contains(index) else { return node.place }
    return elements[index][key]?.place ?? elements[index].place
  }
}
