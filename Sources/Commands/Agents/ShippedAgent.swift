import MarkedYAML
import PolicyFiles
import RolloutModel

/// Switchyard's own agent as it ships, as the files stand in the repository's `units` folder; a test holds them equal.
enum ShippedAgent {
  /// `units/switchyard-agent.agent.yml`.
  static let file = """
    # How Switchyard upgrades its own agent. The user, /etc/switchyard-agent and switchyard-host.socket come first: docs/agent.md.
    agent: switchyard-agent
    user: switchyard-agent
    exec: bin/switchyard-agent
    environment: {SLOT: "{{ slot }}"}
    slots: {blue: 7441, green: 7442}
    public_port: 7440
    # A conversation through the old side goes on for as long; the unit's TimeoutStopSec is longer.
    drain: 30s
    unit: switchyard-agent.service
    health:
      - https: /readyz
        verify: false
        expect: {status: 200}
      - https: /version
        verify: false
        expect: {status: 200, json: {agent: switchyard-agent, version: "{{ version }}"}}
    dependencies:
      - file: /etc/switchyard-agent/agent.yml
      - file: /run/switchyard/host.sock
      - disk_free: 200MB

    """

  /// `units/switchyard-agent.service`, which the agent file names.
  static let unit = """
    # The unit of a slot of Switchyard's own agent; `unit:` of switchyard-agent.agent.yml names this file. Switchyard fills in the slot and
    # writes the result to /etc/systemd/system/switchyard-agent-SLOT.service; PORT and SLOT come from its drop-in beside it.
    [Unit]
    Description=Switchyard's agent ({{ slot }} slot)
    After=network.target switchyard-host.socket
    Wants=switchyard-host.socket
    # Neither slot is enabled: switchyard-restore.service starts at boot what must run.
    StartLimitIntervalSec=0

    [Service]
    Type=notify
    User=switchyard-agent
    Group=switchyard-agent
    ExecStart=/opt/switchyard/switchyard-agent/{{ slot }}/bin/switchyard-agent --config /etc/switchyard-agent/agent.yml
    Restart=always
    RestartSec=1s
    TimeoutStartSec=30s
    # Longer than the configuration's drain.
    TimeoutStopSec=60s
    # A loop that is stuck gives no sign of life.
    WatchdogSec=30s
    # Commands that run may end while the agent drains.
    KillMode=mixed
    LimitNOFILE=8192
    TasksMax=512
    UMask=0077

    # Nothing is written but the log, what is brought, and the logs of runs.
    StateDirectory=switchyard-agent
    StateDirectoryMode=0750
    ProtectSystem=strict
    ProtectHome=yes
    PrivateTmp=yes
    PrivateDevices=yes
    ProtectClock=yes
    ProtectControlGroups=yes
    ProtectHostname=yes
    ProtectKernelLogs=yes
    ProtectKernelModules=yes
    ProtectKernelTunables=yes
    ProtectProc=invisible
    NoNewPrivileges=yes
    CapabilityBoundingSet=
    AmbientCapabilities=
    LockPersonality=yes
    MemoryDenyWriteExecute=yes
    RemoveIPC=yes
    RestrictNamespaces=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallFilter=~@privileged @resources
    SystemCallErrorNumber=EPERM

    # Left off, each for a reason:
    # ProcSubset=pid   memory and load are read from /proc
    # IPAddressDeny=   controllers come from anywhere; who they are is what counts
    # PrivateNetwork=  it serves clients
    # PrivateUsers=    the host program's socket belongs to root
    # RootDirectory=   it uses the host's libraries, and runs the host's programs

    """

  /// What the agent file says. The unit that it names stands beside it here, not in a folder.
  static func definition() throws -> AgentDefinition {
    let text = file.replacing("unit: switchyard-agent.service\n", with: "")
    do throws(FileProblems) {
      var definition = try AgentFile.parse(text: text, name: "the shipped agent file")
      definition.unitTemplate = unit
      return definition
    } catch {
      throw CommandError.tool("\(error); this is a fault of Switchyard: please report it")
    }
  }
}
