/// Asks for the right to change an agent on a host.
public struct LeaseRequest: Hashable, Sendable, Codable {
  /// The agent on this host.
  public var setup: AgentSetup
  /// The controller's UUID.
  public var controller: String
  /// The person and machine, for messages.
  public var holder: String
  /// What for.
  public var reason: String
  /// How long the lease lasts unless it's renewed.
  public var ttl: Span
  /// Whether a live lease of another controller is taken over.
  public var takeOver: Bool

  /// A request from its parts.
  public init(
    setup: AgentSetup, controller: String, holder: String, reason: String, ttl: Span, takeOver: Bool
  ) {
    self.setup = setup
    self.controller = controller
    self.holder = holder
    self.reason = reason
    self.ttl = ttl
    self.takeOver = takeOver
  }
}

/// Asks to move traffic, with all that the controller believes of the host.
public struct FlipOrder: Hashable, Sendable, Codable {
  /// The agent.
  public var agent: AgentName
  /// The flip's name, unique for the agent on the host; the same name again is the same flip.
  public var flip: String
  /// Who owns traffic now; nil for a first install.
  public var from: Side?
  /// The candidate.
  public var to: Slot
  /// The release that the gate proved.
  public var release: Digest
  /// The boot in which the gate proved it.
  public var bootID: String
  /// The invocation that the gate proved.
  public var invocation: String
  /// How long ago the gate passed.
  public var gateAge: Span
  /// The host reverts by itself after this, unconfirmed.
  public var confirmWithin: Span

  /// An order from its parts.
  public init(
    agent: AgentName, flip: String, from: Side?, to: Slot, release: Digest, bootID: String,
    invocation: String,
    gateAge: Span, confirmWithin: Span
  ) {
    self.agent = agent
    self.flip = flip
    self.from = from
    self.to = to
    self.release = release
    self.bootID = bootID
    self.invocation = invocation
    self.gateAge = gateAge
    self.confirmWithin = confirmWithin
  }
}
