import RolloutModel

/// How a release's container is started: Podman's arguments, and the environment of its unit.
///
/// The container shares the host's network. The redirect of nftables ends at the slot's port on the host, and a connection
/// is translated once only: a second translation, into a network of Podman's, would never be asked.
struct ContainerText {
  let agent: AgentName
  let slot: Slot
  let manifest: ReleaseManifest
  let container: ContainerDefinition

  /// A slot's container.
  static func name(_ agent: AgentName, _ slot: Slot) -> String { "switchyard-\(agent)-\(slot.rawValue)" }

  /// What holds the image's ID in the unit's environment: the unit's text is then the same for the next release.
  private static let image = "SWITCHYARD_IMAGE"
  /// The agent's variables go by other names on the host, where they might mean something to Podman.
  private static let prefix = "SWITCHYARD_ENV_"

  /// The unit's command, quoted. `user` is what the container's program runs as, in numbers: an image need not know the name.
  func command(_ podman: String, user: (id: UInt32, group: UInt32), places: Placeholders) -> String {
    var words = [
      podman, "--events-backend=none", "run", "--name=\(Self.name(agent, slot))", "--replace", "--rm",
      "--detach",
      "--sdnotify=conmon", "--cgroups=split", "--log-driver=passthrough", "--pull=never", "--network=host",
      "--user=\(user.id):\(user.group)", "--cap-drop=all", "--security-opt=no-new-privileges",
      "--pids-limit=-1",
      "--no-healthcheck", "--http-proxy=false", "--systemd=false", "--image-volume=tmpfs",
    ]
    if container.readOnly { words += ["--read-only", "--read-only-tmpfs"] }
    words += container.volumes.map { "--volume=\($0.source):\($0.target):\($0.readOnly ? "ro" : "rw")" }
    let quoted = words.map(Quoting.word)
    // systemd puts a variable's value in its place, whatever is in it, and makes no second word of it.
    let variables = (["PORT"] + manifest.environment.map(\.name)).map {
      "\"--env=\($0)=${\(Self.prefix)\($0)}\""
    }
    let arguments = manifest.args.map { Quoting.word(places.fill($0)) }
    return (quoted + variables + ["${\(Self.image)}"] + arguments).joined(separator: " ")
  }

  /// The unit's environment.
  func environment(_ image: Digest, port: Int, places: Placeholders) -> [EnvironmentVariable] {
    [
      EnvironmentVariable(name: Self.image, value: image.hex),
      EnvironmentVariable(name: Self.prefix + "PORT", value: String(port)),
    ]
      + manifest.environment.map {
        EnvironmentVariable(name: Self.prefix + $0.name, value: places.fill($0.value))
      }
  }

  /// The line that removes what a killed monitor left.
  func removal(_ podman: String) -> String {
    "ExecStopPost=-"
      + ([podman, "--events-backend=none"] + Self.removal(agent, slot)).map(Quoting.word).joined(
        separator: " ")
  }

  /// Podman's arguments that remove a slot's container, whether there is one or not.
  static func removal(_ agent: AgentName, _ slot: Slot) -> [String] {
    ["rm", "--force", "--ignore", "--time=0", "--volumes", name(agent, slot)]
  }

  /// The unit's bound on memory; the control group holds to it the container and its monitor alike.
  var memory: String { container.memory.map { "MemoryMax=\($0)" } ?? "" }
}
