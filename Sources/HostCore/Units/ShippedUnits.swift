/// The units that ship with Switchyard, as they stand in the repository's `units` folder; a test holds the two equal.
package enum ShippedUnits {
  /// The default unit of a slot, placeholders not yet filled in.
  package static let agent = """
    # The default unit of an agent's slot. Switchyard fills in what stands in double braces and writes the result to
    # /etc/systemd/system/AGENT-SLOT.service; the slot's environment, and the line by which the host undoes a flip when its
    # unit fails, come from AGENT-SLOT.service.d/50-switchyard.conf beside it.
    # To change a directive on a host: systemctl edit AGENT-SLOT. To use another unit: `unit:` in the agent file.
    [Unit]
    # Without the version: text that stays the same from release to release spares systemd a reload with each upgrade.
    Description={{ agent }} ({{ slot }} slot)
    After=network.target
    # Neither slot is enabled: switchyard-restore.service starts at boot what must run.
    StartLimitIntervalSec=0

    [Service]
    Type=exec
    User={{ user }}
    WorkingDirectory={{ root }}
    ExecStart={{ exec }}
    Restart=always
    RestartSec=1s
    TimeoutStopSec=60s
    UMask=0027

    # An agent may write to $STATE_DIRECTORY, /tmp, and the usual folders of its name where they exist.
    StateDirectory=switchyard-agents/{{ agent }}
    ReadWritePaths=-/var/lib/{{ agent }} -/var/cache/{{ agent }} -/var/log/{{ agent }} -/run/{{ agent }}
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
    NoNewPrivileges=yes
    CapabilityBoundingSet=
    AmbientCapabilities=
    LockPersonality=yes
    RemoveIPC=yes
    RestrictNamespaces=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallFilter=~@privileged @resources
    SystemCallErrorNumber=EPERM

    # Left off, each for a reason:
    # MemoryDenyWriteExecute=    runtimes that compile while they run (Node, Java, Python's ctypes) would not start
    # ProtectProc=, ProcSubset=  an agent watches the host that it is on
    # IPAddressDeny=             clients come from anywhere
    # PrivateNetwork=            it serves clients
    # PrivateUsers=              files would belong to nobody where User= is root
    # RootDirectory=, RootImage= it uses the host's libraries
    # DeviceAllow=               follows from PrivateDevices=

    """

  /// The unit of a slot whose release runs as a container, placeholders not yet filled in.
  package static let container = """
    # The unit of an agent's slot whose release runs as a container under Podman. Switchyard fills in what stands in double braces
    # and writes the result to /etc/systemd/system/AGENT-SLOT.service; environment and image, and what is done when the unit
    # ends, come from AGENT-SLOT.service.d/50-switchyard.conf beside it.
    # To change a directive on a host: systemctl edit AGENT-SLOT.
    [Unit]
    # Without the version: text that stays the same from release to release spares systemd a reload with each upgrade.
    Description={{ agent }} ({{ slot }} slot)
    After=network.target
    RequiresMountsFor=/run/containers
    # Neither slot is enabled: switchyard-restore.service starts at boot what must run.
    StartLimitIntervalSec=0

    [Service]
    # Podman starts the container and goes; what stays, and ends as the container ends, is its monitor, which tells systemd so.
    Type=notify
    NotifyAccess=all
    ExecStart={{ exec }}
    Restart=always
    RestartSec=1s
    # The monitor passes SIGTERM on to the container; after this time all that is left is killed.
    TimeoutStopSec=60s
    KillMode=mixed
    # A container that ends on that signal has ended well.
    SuccessExitStatus=143
    # Monitor and container are in groups of their own below the unit's, so that none of them outlives it.
    Delegate=yes
    UMask=0027
    {{ memory }}
    # What confines the agent is the container: its own files, no capabilities, Podman's filter of system calls. The sandbox of
    # other agents' units would confine Podman, which needs root's rights to set that up.

    """

  /// What puts agents in order at boot.
  package static let restore = """
    # Puts every agent in order at boot: starts its live side, sends traffic there, undoes a flip that nobody confirmed.
    [Unit]
    Description=Switchyard: live sides and traffic as recorded, after a boot
    After=network.target local-fs.target dbus.socket
    # Whoever writes firewall rules at boot goes first.
    After=nftables.service firewalld.service ufw.service netfilter-persistent.service docker.service

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/opt/switchyard/bin/switchyard-host restore
    TimeoutStartSec=10min
    # What is written: units, state and releases. A traffic driver of the user's own may write elsewhere below /etc and /var.
    ProtectSystem=yes
    ProtectHome=yes
    PrivateTmp=yes
    ProtectClock=yes
    ProtectControlGroups=yes
    ProtectHostname=yes
    ProtectKernelLogs=yes
    ProtectKernelModules=yes
    ProtectKernelTunables=yes
    NoNewPrivileges=yes
    CapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SYS_PTRACE
    LockPersonality=yes
    MemoryDenyWriteExecute=yes
    PrivateDevices=yes
    RestrictNamespaces=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallFilter=~@resources
    UMask=0077

    # Left off, each for a reason:
    # User=            units, firewall and state are root's
    # ProtectProc=     it tells whose process holds a port
    # IPAddressDeny=   it asks agents whether they answer
    # PrivateNetwork=  the firewall is the host's
    # PrivateUsers=    files would belong to nobody

    [Install]
    WantedBy=multi-user.target

    """

  /// What brings traffic rules back.
  package static let trafficGuard = """
    # Brings the recorded owner of each agent's traffic back when somebody else flushes or reloads the firewall.
    [Unit]
    Description=Switchyard: guard of the traffic rules
    StartLimitIntervalSec=0
    After=switchyard-restore.service

    [Service]
    Type=exec
    ExecStart=/opt/switchyard/bin/switchyard-host guard
    Restart=always
    RestartSec=1s
    # What it has begun for an agent comes to its own end, and the next guard needn't wait for it.
    KillMode=process
    # What is written: units, state and releases. A traffic driver of the user's own may write elsewhere below /etc and /var.
    ProtectSystem=yes
    ProtectHome=yes
    PrivateTmp=yes
    ProtectClock=yes
    ProtectControlGroups=yes
    ProtectHostname=yes
    ProtectKernelLogs=yes
    ProtectKernelModules=yes
    ProtectKernelTunables=yes
    NoNewPrivileges=yes
    CapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SYS_PTRACE
    LockPersonality=yes
    MemoryDenyWriteExecute=yes
    PrivateDevices=yes
    RestrictNamespaces=yes
    RestrictRealtime=yes
    RestrictSUIDSGID=yes
    RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
    SystemCallArchitectures=native
    SystemCallFilter=@system-service
    SystemCallFilter=~@resources
    UMask=0077

    # Left off, each for a reason:
    # User=            units, firewall and state are root's
    # ProtectProc=     it tells whose process holds a port
    # IPAddressDeny=   it asks agents whether they answer
    # PrivateNetwork=  the firewall is the host's
    # PrivateUsers=    files would belong to nobody

    [Install]
    WantedBy=multi-user.target

    """
}
