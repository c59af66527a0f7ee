import HostMachine
import RolloutModel

/// What carries a machine's effects out on a host.
package protocol Hands {
  /// The host's clock.
  func now() throws(HostFailure) -> HostNow

  /// Executes one effect for the agent of this record. `persist` and `reply` are the driver's own.
  func execute(_ effect: HostEffect, _ record: AgentRecord) throws(HostFailure) -> EffectOutcome

  /// How all is, after an operation.
  func observe(_ record: AgentRecord) throws(HostFailure) -> AgentObservation
}
