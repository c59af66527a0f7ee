import RolloutModel

/// Address translation by nftables, in a table of our own, each change one transaction of `nft -f -`. Other tables are
/// neither read nor touched.
package struct NftTraffic: Traffic {
  private let memory: NftMemory
  private let deadline: Span

  /// The driver; each call of `nft` may take as long as `deadline`.
  package init(memory: NftMemory = NftMemory(), deadline: Span = .seconds(5)) {
    self.memory = memory
    self.deadline = deadline
  }

  /// What the rules in force do.
  package func observe(_ setup: AgentSetup) throws(HostFailure) -> TrafficView {
    let ruleset = NftRuleset(setup)
    guard let listing = try listing(ruleset) else { return TrafficView(owner: untranslated(setup)) }
    var oddities = listing.oddities
    var owner = untranslated(setup)
    if let port = listing.port {
      let sides: [Side] = [.blue, .green, .adopted]
      owner = sides.first(where: { setup.port(of: $0) == port })
      if owner == nil { oddities.append("new connections go to port \(port), which is no slot's") }
    }
    guard !oddities.isEmpty else { return TrafficView(owner: owner) }
    return TrafficView(
      owner: owner, disturbance: "table \(ruleset.table): " + oddities.joined(separator: "; "))
  }

  /// One transaction, then a look at what is in force: where somebody changed the table's chains, it is set up anew.
  package func move(_ setup: AgentSetup, to side: Side?) throws(HostFailure) {
    let ruleset = NftRuleset(setup)
    let port = try port(setup, of: side)
    for anew in [false, true] {
      let result = try nft(["-f", "-"], ruleset.transaction(to: port, anew: anew))
      let view = try observe(setup)
      if result.status.isSuccess && view.owner == side ?? untranslated(setup) && view.disturbance == nil {
        return
      }
      guard anew else { continue }
      let why =
        result.status.isSuccess
        ? "the rules in force are others: \(view.disturbance ?? "traffic goes to \(view.owner?.rawValue ?? "nobody")")"
        : result.lastWords
      throw HostFailure(
        .trafficFailed,
        "nftables: moving port \(setup.publicPort) to \(side?.rawValue ?? "nobody") failed: \(why)",
        hint: "see: nft list table inet \(ruleset.table)")
    }
  }

  /// Where our table is, it can be changed. Else: `nft` missing, no right to use it, or a kernel without what the rules need: the very transaction is checked, not done.
  package func obstacle(_ setup: AgentSetup) -> String? {
    do throws(HostFailure) {
      let ruleset = NftRuleset(setup)
      guard try listing(ruleset) == nil else { return nil }
      let result = try nft(["-c", "-f", "-"], ruleset.transaction(to: setup.slots.blue, anew: false))
      return result.status.isSuccess ? nil : "nftables can't translate addresses here: \(result.lastWords)"
    } catch { return error.message + (error.hint.isEmpty ? "" : "; \(error.hint)") }
  }

  /// Deletes our table.
  package func remove(_ setup: AgentSetup) throws(HostFailure) {
    let ruleset = NftRuleset(setup)
    let result = try nft(["-f", "-"], ruleset.removal)
    guard result.status.isSuccess else {
      throw HostFailure(
        .trafficFailed, "nftables: deleting table \(ruleset.table) failed: \(result.lastWords)")
    }
  }

  /// Who is reached where no rule is in force: an agent that listens on the public port itself, else nobody.
  private func untranslated(_ setup: AgentSetup) -> Side? {
    setup.adopt?.port == setup.publicPort ? .adopted : nil
  }

  private func port(_ setup: AgentSetup, of side: Side?) throws(HostFailure) -> Int? {
    guard let side, side != untranslated(setup) else { return nil }
    guard let port = setup.port(of: side) else {
      throw HostFailure(.invalid, "\(setup.name) has no adopted agent to move traffic to")
    }
    return port
  }

  /// Nil where there is no such table.
  private func listing(_ ruleset: NftRuleset) throws(HostFailure) -> NftListing? {
    try memory.listing(ruleset.table) { () throws(HostFailure) in try list(ruleset) }
  }

  private func list(_ ruleset: NftRuleset) throws(HostFailure) -> NftListing? {
    let result = try nft(["-j", "list", "table", NftRuleset.family, ruleset.table], "")
    if result.status.isSuccess { return try NftListing(result.stdout, of: ruleset) }
    // nft says nothing more exact than the system's own words for ENOENT.
    if String(decoding: result.stderr, as: UTF8.self).contains("No such file or directory") { return nil }
    throw HostFailure(
      .trafficFailed, "nftables: listing table \(ruleset.table) failed: \(result.lastWords)")
  }

  private func nft(_ arguments: [String], _ text: String) throws(HostFailure) -> HostCommandResult {
    try HostCommand.run(
      ["nft"] + arguments, stdin: Array(text.utf8), deadline: deadline, outputLimit: 1 << 20)
  }
}
