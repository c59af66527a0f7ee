import RolloutModel

/// The conversation's version: a host program answers only its own.
public let hostProtocolVersion = 1

/// What a controller asks of a host program. Each request that changes something carries the lease's key, and done twice
/// gives the result of once.
public enum HostRequest: Hashable, Sendable, Codable {
  /// The first request of a conversation.
  case hello(version: Int)
  /// Facts for a preflight; writes nothing.
  case facts(setup: AgentSetup, user: String)
  /// Checks all dependencies; writes nothing. HTTP ones are not among them: the controller asks those through a tunnel.
  case check([Dependency], deadline: Span)
  /// The agent as it is now; writes nothing.
  case observe(AgentName)
  /// Looks at a service, or starts, stops or restarts it. Refused for units of Switchyard's own, and for an agent's while a lease
  /// or a flip in probation protects them. Done twice it gives the result of once, but for a restart.
  case service(ServiceOrder)
  /// A unit's last journal lines.
  case log(AgentName, Side, lines: Int)
  /// Takes or keeps the lease, and installs the setup for it. The same controller asking again gets its lease back.
  case acquire(LeaseRequest)
  /// Prolongs the lease.
  case renew(AgentName, LeaseKey, ttl: Span)
  /// Gives the lease back.
  case release(AgentName, LeaseKey)
  /// Announces an archive: answered with how many bytes the host has of it already.
  case stage(LeaseKey, IdentifiedRelease)
  /// The announced archive has been sent: verify, unpack, make visible.
  case stageEnd(LeaseKey, IdentifiedRelease)
  /// Writes the slot and starts its unit. Answered once the unit is active or has failed.
  case start(LeaseKey, Slot, IdentifiedRelease, deadline: Span)
  /// Stops and empties a slot that does not own traffic and is not retained. `refuse` marks the named release, or else what is
  /// in the slot or was staged for it, as rolled back by a gate or a person; also where the slot is empty already.
  case discard(AgentName, LeaseKey, Slot, release: Digest?, reason: String, refuse: Bool)
  /// Moves traffic.
  case flip(LeaseKey, FlipOrder)
  /// A controller has seen the flip work from outside.
  case confirm(AgentName, LeaseKey, flip: String)
  /// The soak is over.
  case promote(AgentName, LeaseKey, flip: String)
  /// Undoes the named flip. `refuse` marks the release as rolled back by a gate or a person.
  case revert(AgentName, LeaseKey, flip: String, reason: String, refuse: Bool)
  /// The rollout has ended: retention of the old slot starts now.
  case retain(AgentName, LeaseKey, Retention)
  /// Rolls back to the retained side from the host's own state alone, without a lease; a held lease is taken over where asked.
  case rollback(AgentName, reason: String, takeOver: Bool)
  /// A person lifts the quarantine and forgets refused releases.
  case clear(AgentName, reason: String)
  /// Removes all that is ours of an agent from the host; refused while a slot owns traffic and `force` is false.
  case forget(AgentName, force: Bool)
  /// Changes the credentials of Switchyard's own agent; it needs no lease, for the order names what it expects to be there.
  case credentials(CredentialOrder)
  /// Takes Switchyard's own agent away, whatever it serves, with what the way through it needs beside it: the host program's socket
  /// and units, the agent's configuration and credentials. Refused while a lease or a flip in probation protects the agent. Answered
  /// with `begun` before the first thing that ends the way through it; what then came of it is asked with `removed`.
  case remove(AgentName)
  /// What came of the removal that was begun in this conversation.
  case removed
}

/// What a host program answers.
public enum HostReply: Hashable, Sendable, Codable {
  /// To `hello`.
  case hello(HostHello)
  /// To `facts`.
  case facts(HostFacts)
  /// To `check`: one result per dependency, in order.
  case checked([DependencyResult])
  /// To `log`: the lines, oldest first, escaped for a terminal.
  case log([String])
  /// To `service`: the service as it was seen afterwards, whether or not it is as asked.
  case service(ServiceReport)
  /// To `acquire`, `renew`.
  case lease(Lease)
  /// To `stage`: bytes of the archive that need not be sent; all of them where the release is in the store already.
  case staged(have: Int64)
  /// To everything that changes an agent, and to `observe`: the agent as it is now.
  case status(AgentStatus)
  /// To `credentials`.
  case credentials(CredentialState)
  /// To `remove`: nothing protects the agent, the way through it is closed for others, and whatever becomes of this conversation the
  /// host goes on with it.
  case begun
  /// To `release`, `forget`, `removed`, and to `remove` where nothing was known of the agent.
  case done
  /// To anything that was not done.
  case failed(HostFailure)
}

/// Who answers.
public struct HostHello: Hashable, Sendable, Codable {
  /// The program's version.
  public var program: String
  /// The conversation's version.
  public var version: Int
  /// The host's boot.
  public var bootID: String
  /// As `uname -m` says it.
  public var architecture: String
  /// Whether the program may change the host.
  public var privileged: Bool

  /// A hello from its parts.
  public init(program: String, version: Int, bootID: String, architecture: String, privileged: Bool) {
    self.program = program
    self.version = version
    self.bootID = bootID
    self.architecture = architecture
    self.privileged = privileged
  }
}
