import RolloutModel

/// What the engine remembers of one host.
struct HostRun: Hashable, Sendable, Codable {
  /// What is to happen once the step under way has come to its end.
  struct Undo: Hashable, Sendable, Codable {
    var refuse: Bool
    var reason: String
  }

  var phase = HostPhase.pending
  /// The step under way; nil where none is.
  var step: HostStep?
  /// Names the step under way: an outcome of another attempt is late and ignored.
  var attempt = 0
  /// How often the host has been begun; part of the flip's name.
  var tries = 0
  /// Steps in a row whose outcome was lost with the connection.
  var lost = 0
  /// Since when it has been so; nil while the host answers.
  var lostSince: Moment?
  /// The silence of the fleet in which this host was counted last.
  var silentIn = 0
  /// Faults of something shared that the host's steps have met.
  var sharedFaults = 0
  /// Since when; nil while there were none.
  var sharedSince: Moment?
  /// When the last of them was.
  var sharedSeen: Moment?
  /// Once it is undone the host is to be begun anew.
  var comesBack = false
  /// Times that the host had to be asked how it stands since it was begun by a person's word or the wave's.
  var setbacks = 0
  /// The host was given up while changed: when it is begun, it is asked first how it stands.
  var asksFirst = false
  /// Restores that failed.
  var failedRestores = 0
  /// Times that the host undid the flip because no confirm came.
  var unconfirmed = 0
  /// The rollout wants the host undone.
  var undo: Undo?
  /// The host is to end as skipped, once it is undone.
  var leaveOut = false
  /// A person wants the release tried again although it was rolled back here.
  var again = false
  /// The host may have been changed.
  var touched = false
  /// The host's failure is counted against the budgets.
  var isCharged = false
  /// Retention has been asked for.
  var isRetained = false
  var known: HostKnowledge
  var reason = ""
  var lastLines: [String] = []
  /// Milliseconds spent per phase, in the order of first entry.
  var spent: [PhaseTime] = []
  /// When the phase began, on the controller's clock and on the wall.
  var since = Moment(milliseconds: 0)
  var sinceWall: Int64 = 0

  /// What new connections reach, as far as steps have shown.
  var isOnNew: Bool { phase == .promoted && touched || phase == .soaking }

  /// Whether nobody can say who owns traffic.
  var isUnknown: Bool { touched && (phase == .quarantined || phase == .unreachable) }
}

/// Time spent in a phase.
struct PhaseTime: Hashable, Sendable, Codable {
  var phase: HostPhase
  var milliseconds: Int64
}
