import RolloutModel

/// Where things are on a host; a prefix puts them all elsewhere.
package struct HostFiles: Hashable, Sendable {
  private let prefix: String

  /// The places of a real host, or those below `prefix`.
  package init(prefix: String = "") { self.prefix = prefix }

  /// The programs and the releases of all agents.
  package var store: String { "\(prefix)/opt/switchyard" }
  /// The folder of the host program that units and timers run.
  package var programs: String { "\(store)/bin" }
  /// The host program that units and timers run.
  package var program: String { "\(programs)/switchyard-host" }
  /// Where people find it.
  package var commands: String { "\(prefix)/usr/local/sbin" }
  /// The state of all agents.
  package var states: String { "\(prefix)/var/lib/switchyard" }
  /// Projects of playbooks.
  package var caches: String { "\(prefix)/var/cache/switchyard" }
  /// The sockets through which Switchyard's own agent is served.
  package var sockets: String { "\(prefix)/run/switchyard" }
  /// The units that administrators and we write.
  package var units: String { "\(prefix)/etc/systemd/system" }

  /// An agent's state and lock.
  package func state(of agent: AgentName) -> String { "\(states)/\(agent)" }
  /// Where the default unit lets an agent write (StateDirectory=).
  package func data(of agent: AgentName) -> String { "\(prefix)/var/lib/switchyard-agents/\(agent)" }
  /// The configuration of Switchyard's own agent.
  package var agentSettings: String { "\(prefix)/etc/switchyard-agent" }
  /// What Switchyard's own agent shows and trusts.
  package var credentials: String { "\(agentSettings)/tls" }
  /// The environment of all agents' slots.
  package var settings: String { "\(prefix)/etc/switchyard" }
  /// The environment of an agent's slots.
  package func settings(of agent: AgentName) -> String { "\(settings)/\(agent)" }
}
