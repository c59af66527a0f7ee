import HostMachine
import RolloutModel

/// What carries a machine's effects out on a host.
package protocol Hands {
  /// The host's clock.
  func now() throws(HostFailure) -> HostNow

  /// Whether the host is going down or rebooting.
  func isShuttingDown() -> Bool

  /// Removes what there is of an agent's state, and the program where no agent is left.
  func removeState(of agent: AgentName) throws(HostFailure)

  /// Throws where an agent of that name runs as an ordinary unit, which nobody has told us to manage.
  func requireUnserved(_ agent: AgentName) throws(HostFailure)

  /// Takes away what the way through Switchyard's own agent needs, and the program where no agent is left.
  func closeAgentDoor() throws(HostFailure)

  /// Executes one effect for the agent of this record. `persist`, `closeAgentDoor`, `removeState` and `reply` are the driver's own.
  func execute(_ effect: HostEffect, _ record: AgentRecord) throws(HostFailure) -> EffectOutcome

  /// How all is, after an operation.
  func observe(_ record: AgentRecord) throws(HostFailure) -> AgentObservation
}
