import RolloutModel

/// What a traffic driver shows of an agent.
package struct TrafficView: Hashable, Sendable {
  /// The side that new connections reach by what is in force now; nil where none does, or where the driver can't tell.
  package var owner: Side?
  /// What is in force that the driver would not have set; nil where nothing is.
  package var disturbance: String?
  /// Whether the driver can tell the owner at all; where not, the host's record stands.
  package var isKnown: Bool

  /// A view from its parts.
  package init(owner: Side?, disturbance: String? = nil, isKnown: Bool = true) {
    self.owner = owner
    self.disturbance = disturbance
    self.isKnown = isKnown
  }
}

/// Sends an agent's new connections to one of its sides. Connections that exist stay where they are.
package protocol Traffic {
  /// Who owns traffic now, by what is in force.
  func observe(_ setup: AgentSetup) throws(HostFailure) -> TrafficView

  /// Makes a side the owner in one atomic step; nil: nobody. Done again where it is so already, nothing changes.
  func move(_ setup: AgentSetup, to side: Side?) throws(HostFailure)

  /// Why the driver can't work on this host; nil where it can. Changes nothing.
  func obstacle(_ setup: AgentSetup) -> String?

  /// Removes all that the driver set for the agent. Connections that it sent to a slot end with it: only once they have.
  func remove(_ setup: AgentSetup) throws(HostFailure)
}

extension Traffic {
  /// Whether exactly this side owns traffic and nothing disturbs it; true where the driver can't tell.
  package func holds(_ setup: AgentSetup, owner: Side?) throws(HostFailure) -> Bool {
    let view = try observe(setup)
    return !view.isKnown || (view.owner == owner && view.disturbance == nil)
  }
}

/// The driver that an agent's setup names; `memory` is what this process knows of the rules.
package func trafficDriver(for setup: AgentSetup, memory: NftMemory) -> any Traffic {
  switch setup.traffic {
  case .nftables: NftTraffic(memory: memory)
  case .none: NoTraffic()
  case .command(let argv): CommandTraffic(argv: argv)
  }
}

/// Nothing is moved: clients find the slot by other means.
package struct NoTraffic: Traffic {
  /// The driver; it has no state.
  package init() {}

  /// Can't tell.
  package func observe(_ setup: AgentSetup) -> TrafficView { TrafficView(owner: nil, isKnown: false) }

  /// Does nothing.
  package func move(_ setup: AgentSetup, to side: Side?) {}

  /// None.
  package func obstacle(_ setup: AgentSetup) -> String? { nil }

  /// Does nothing.
  package func remove(_ setup: AgentSetup) {}
}
