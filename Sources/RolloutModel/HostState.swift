/// What a host must know of an agent to run, flip and undo it alone.
public struct AgentSetup: Hashable, Sendable, Codable {
  /// The agent.
  public var name: AgentName
  /// The slots' own ports.
  public var slots: SlotPorts
  /// Where clients connect.
  public var publicPort: Int
  /// How new connections are sent to a slot.
  public var traffic: TrafficDriver
  /// How long connections may stay on the side that lost traffic.
  public var drain: Span
  /// An agent installed by other means that is the first live side.
  public var adopt: Adoption?
  /// What a side must answer before traffic is moved back to it; of each answer only the status counts.
  public var health: [ProbeDefinition]
  /// The inventory's name of the host, for `{{ host }}`.
  public var host: String
  /// The lowest version that may be brought to the host; nil where any may.
  public var floor: Version?

  /// The setup of an agent on one host.
  public init(agent: AgentDefinition, host: String) {
    name = agent.name
    slots = agent.slots
    publicPort = agent.publicPort
    traffic = agent.traffic
    drain = agent.drain
    adopt = agent.adopt
    health = agent.health
    floor = agent.floor
    self.host = host
  }

  /// The port on which a side listens itself; nil for an adopted side that the setup does not name.
  public func port(of side: Side) -> Int? { side.slot.map { slots[$0] } ?? adopt?.port }

  /// The unit that runs a side; nil for an adopted side that the setup does not name.
  public func unit(of side: Side) -> String? { side.slot.map { name.unit($0) } ?? adopt?.unit }
}

/// Who speaks: every changing command carries this and changes nothing where it is not the lease's.
public struct LeaseKey: Hashable, Sendable, Codable {
  /// The controller's UUID.
  public var controller: String
  /// The number that the host issued.
  public var epoch: UInt64

  /// A key from its parts.
  public init(controller: String, epoch: UInt64) {
    self.controller = controller
    self.epoch = epoch
  }
}

/// The right to change one agent on one host.
public struct Lease: Hashable, Sendable, Codable {
  /// Controller and epoch.
  public var key: LeaseKey
  /// The person and machine that hold it, for messages.
  public var holder: String
  /// What for.
  public var reason: String
  /// How much longer it lasts unless it's renewed.
  public var remaining: Span

  /// A lease from its parts.
  public init(key: LeaseKey, holder: String, reason: String, remaining: Span) {
    self.key = key
    self.holder = holder
    self.reason = reason
    self.remaining = remaining
  }
}

/// A lease that was issued, whether it is held still or not.
public struct IssuedLease: Hashable, Sendable, Codable {
  /// Controller and epoch.
  public var key: LeaseKey
  /// What for.
  public var reason: String

  /// An issued lease from its parts.
  public init(key: LeaseKey, reason: String) {
    self.key = key
    self.reason = reason
  }
}

/// How far a flip has come.
public enum FlipPhase: String, Hashable, Sendable, Codable {
  /// Traffic is being or has been moved; the revert timer runs.
  case armed
  /// A controller has seen it work from outside; probation.
  case confirmed
  /// The soak is over; the flip is final.
  case promoted
  /// The host is undoing the flip.
  case reverting
  /// The flip is undone.
  case reverted
}

/// The host's record of an agent's latest flip.
public struct FlipRecord: Hashable, Sendable, Codable {
  /// The flip's name, made by the controller, unique for the agent on the host.
  public var flip: String
  /// The lease's epoch.
  public var epoch: UInt64
  /// Who owned traffic before; nil for a first install.
  public var from: Side?
  /// Who is to own it.
  public var to: Side
  /// The release that `to` runs.
  public var release: Digest
  /// The host's boot when the flip was armed.
  public var bootID: String
  /// The candidate unit's invocation that the gate proved.
  public var invocation: String
  /// Until when (host's clock since boot) a confirm is accepted.
  public var deadline: Moment
  /// How far it has come.
  public var phase: FlipPhase
  /// Why it was undone; nil while it was not.
  public var reason: String?
  /// Whether it was undone for want of a confirm (by the deadline, or at a boot before it): that blames the controller, not
  /// the release.
  public var isUnconfirmed: Bool
  /// The controller that ordered the undo; nil where it was not undone, or by the host itself, or by a person at the host. An
  /// order says nothing of the release: whoever gave it has judged.
  public var orderedBy: String?

  /// A record from its parts.
  public init(
    flip: String, epoch: UInt64, from: Side?, to: Side, release: Digest, bootID: String, invocation: String,
    deadline: Moment, phase: FlipPhase, reason: String? = nil, isUnconfirmed: Bool = false,
    orderedBy: String? = nil
  ) {
    self.flip = flip
    self.epoch = epoch
    self.from = from
    self.to = to
    self.release = release
    self.bootID = bootID
    self.invocation = invocation
    self.deadline = deadline
    self.phase = phase
    self.reason = reason
    self.isUnconfirmed = isUnconfirmed
    self.orderedBy = orderedBy
  }
}

/// What systemd says of a unit.
public struct UnitStatus: Hashable, Sendable, Codable {
  /// The unit's name.
  public var unit: String
  /// `loaded`, `not-found`, `masked`, …
  public var loadState: String
  /// `active`, `activating`, `failed`, `inactive`, …
  public var activeState: String
  /// `running`, `auto-restart`, `dead`, …
  public var subState: String
  /// The invocation's ID, 32 hexadecimal digits; empty where it never ran.
  public var invocation: String
  /// Automatic restarts since the last start by request.
  public var restarts: Int
  /// `success`, `exit-code`, `signal`, …
  public var result: String
  /// The main process' exit code or signal number.
  public var exitStatus: Int
  /// The main process; 0 where there is none.
  public var mainPID: Int

  /// A status from its parts.
  public init(
    unit: String, loadState: String, activeState: String, subState: String, invocation: String, restarts: Int,
    result: String, exitStatus: Int, mainPID: Int
  ) {
    self.unit = unit
    self.loadState = loadState
    self.activeState = activeState
    self.subState = subState
    self.invocation = invocation
    self.restarts = restarts
    self.result = result
    self.exitStatus = exitStatus
    self.mainPID = mainPID
  }

  /// Whether the unit is up.
  public var isActive: Bool { activeState == "active" || activeState == "reloading" }
}

/// What is known of one slot on a host.
public struct SlotStatus: Hashable, Sendable, Codable {
  /// Which slot.
  public var slot: Slot
  /// The release written into it; nil where it's empty.
  public var release: IdentifiedRelease?
  /// Its unit, as observed.
  public var unit: UnitStatus

  /// A status from its parts.
  public init(slot: Slot, release: IdentifiedRelease?, unit: UnitStatus) {
    self.slot = slot
    self.release = release
    self.unit = unit
  }
}

/// What is known of an agent on a host, observed anew with every answer.
public struct AgentStatus: Hashable, Sendable, Codable {
  /// The host's boot.
  public var bootID: String
  /// The host's clock since boot.
  public var now: Moment
  /// The side that new connections reach, as the traffic driver shows it, not as the record wants it; nil where none does.
  public var owner: Side?
  /// Where the driver shows something else than the record wants, what.
  public var disturbance: String?
  /// The slots, blue first.
  public var slots: [SlotStatus]
  /// The adopted agent's unit; nil where the setup names none or it is unknown here.
  public var adopted: UnitStatus?
  /// The latest flip.
  public var flip: FlipRecord?
  /// The side kept for rollback; nil where there is none.
  public var retained: Side?
  /// The lease that is held now.
  public var lease: Lease?
  /// The lease that was issued last, also where it was given back since; nil where none is remembered.
  public var lastLease: IssuedLease?
  /// Why the host is quarantined; nil where it isn't.
  public var quarantine: String?
  /// Releases that a gate or a person rolled back here.
  public var refused: [Digest]
  /// The lowest version that may be brought to this host, `lastGood` aside; nil where any may.
  public var floor: Version?
  /// The release that was promoted last; nil where none was.
  public var lastGood: Digest?
  /// The last lines of the unit that this answer is about, where it failed, escaped for a terminal.
  public var lastLines: [String]

  /// A status from its parts.
  public init(
    bootID: String, now: Moment, owner: Side?, disturbance: String?, slots: [SlotStatus],
    adopted: UnitStatus?,
    flip: FlipRecord?, retained: Side?, lease: Lease?, lastLease: IssuedLease?, quarantine: String?,
    refused: [Digest], floor: Version? = nil, lastGood: Digest? = nil,
    lastLines: [String]
  ) {
    self.bootID = bootID
    self.now = now
    self.owner = owner
    self.disturbance = disturbance
    self.slots = slots
    self.adopted = adopted
    self.flip = flip
    self.retained = retained
    self.lease = lease
    self.lastLease = lastLease
    self.quarantine = quarantine
    self.refused = refused
    self.floor = floor
    self.lastGood = lastGood
    self.lastLines = lastLines
  }

  /// The status of a slot; nil where the answer lacks it.
  public func slot(_ slot: Slot) -> SlotStatus? { slots.first(where: { $0.slot == slot }) }

  /// Why a release may not be brought here, by the host's floor; nil where it may.
  public func floorObstacle(_ release: IdentifiedRelease) -> String? {
    HostFloor(version: floor, lastGood: lastGood).obstacle(release)
  }

  /// The release that new connections reach; nil for an adopted agent or none.
  public var liveRelease: IdentifiedRelease? { owner?.slot.flatMap { self.slot($0)?.release } }
}

/// A process that listens on a port.
public struct PortOwner: Hashable, Sendable, Codable {
  /// The port.
  public var port: Int
  /// The process; 0 where it can't be told.
  public var pid: Int
  /// Its command's name, escaped for a terminal; empty where it can't be told.
  public var command: String
  /// The systemd unit it belongs to; empty where it belongs to none.
  public var unit: String

  /// An owner from its parts.
  public init(port: Int, pid: Int, command: String, unit: String) {
    self.port = port
    self.pid = pid
    self.command = command
    self.unit = unit
  }
}

/// What a preflight learns of a host; nothing is written for it.
public struct HostFacts: Hashable, Sendable, Codable {
  /// As `uname -m` says it.
  public var architecture: String
  /// The kernel's release.
  public var kernel: String
  /// `PRETTY_NAME` of os-release.
  public var system: String
  /// systemd's version number.
  public var systemd: Int
  /// Bytes free where releases are stored.
  public var diskFree: Int64
  /// Bytes of memory available.
  public var memoryAvailable: Int64
  /// Whether the user of the units exists.
  public var userExists: Bool
  /// Who listens on the slots' and the public port.
  public var listeners: [PortOwner]
  /// Units of the slots' names that are not ours.
  public var foreignUnits: [String]
  /// Why the traffic driver can't work here; nil where it can.
  public var trafficObstacle: String?
  /// The agent's state; slots empty where the host has none.
  public var agent: AgentStatus

  /// Facts from their parts.
  public init(
    architecture: String, kernel: String, system: String, systemd: Int, diskFree: Int64,
    memoryAvailable: Int64,
    userExists: Bool, listeners: [PortOwner], foreignUnits: [String], trafficObstacle: String?,
    agent: AgentStatus
  ) {
    self.architecture = architecture
    self.kernel = kernel
    self.system = system
    self.systemd = systemd
    self.diskFree = diskFree
    self.memoryAvailable = memoryAvailable
    self.userExists = userExists
    self.listeners = listeners
    self.foreignUnits = foreignUnits
    self.trafficObstacle = trafficObstacle
    self.agent = agent
  }
}

/// Why a host did not do what it was asked.
public struct HostFailure: Error, Hashable, Sendable, Codable {
  /// What kind of failure, for decisions.
  public enum Code: String, Hashable, Sendable, Codable {
    /// The lease is somebody else's.
    case leaseHeld
    /// Epoch or controller is not the lease's: nothing was changed.
    case staleLease
    /// What the controller believes of the host is not so (digest, boot, invocation, owner, gate's age).
    case staleBelief
    /// The confirm came after the deadline, or the flip is no longer the one named.
    case flipGone
    /// A port that must be free is taken.
    case portTaken
    /// No room on a disk.
    case diskFull
    /// The bytes are not what the digest says.
    case digestMismatch
    /// The archive holds something that must not be unpacked, or is damaged.
    case archiveRefused
    /// A unit of our name is not ours.
    case foreignUnit
    /// The unit did not come up, or went down.
    case unitFailed
    /// The traffic driver failed.
    case trafficFailed
    /// The side to return to can't be made to answer.
    case cannotRestore
    /// The host is quarantined.
    case quarantined
    /// The release was rolled back here before, or its version is below the host's floor.
    case refusedRelease
    /// The slot lost traffic a short time ago: connections that are open may still use it.
    case draining
    /// There is nothing of that name.
    case notFound
    /// The request can't be understood or done by this host program.
    case unsupported
    /// The request's values are not allowed.
    case invalid
    /// A deadline passed.
    case deadline
    /// The host is going down: what its units do now says nothing of a release, and nothing was begun.
    case shuttingDown
    /// Something else went wrong on the host.
    case system
  }

  /// What kind.
  public var code: Code
  /// What failed, where and why, escaped for a terminal.
  public var message: String
  /// What to do; empty where nothing can be said.
  public var hint: String
  /// The failed unit's last lines, escaped for a terminal.
  public var lastLines: [String]

  /// A failure from its parts.
  public init(_ code: Code, _ message: String, hint: String = "", lastLines: [String] = []) {
    self.code = code
    self.message = message
    self.hint = hint
    self.lastLines = lastLines
  }
}
