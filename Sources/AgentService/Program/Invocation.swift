import RolloutModel

/// What the arguments ask for.
enum Invocation: Hashable, Sendable {
  case help
  case version
  case check(String)
  case serve(String)
  case run(String)
  case upload(String, Digest, size: Int64)
  case misuse(String)

  static let usage = """
    switchyard-agent: the way to a host for Switchyard's controllers, over TLS.

      switchyard-agent [--config FILE]           serves on the port of the environment's PORT until SIGTERM
      switchyard-agent --check [--config FILE]   reads the configuration and its files, and says what is wrong
      switchyard-agent --run [--config FILE]     runs a command of the configuration's list: its request is read from standard
                                                 input, its answer is printed, as for POST /v1/commands
      switchyard-agent --upload SHA256 SIZE [--config FILE]
                                                 takes a file: says how much of it is here, and reads what is lacking
      switchyard-agent --version | --help

    FILE is /etc/switchyard-agent/agent.yml where none is given.
    Exit status: 0 done · 1 failed · 2 invalid, nothing was begun
    """

  init(_ arguments: [String]) {
    var path = AgentConfiguration.defaultPath
    var make: (String) -> Invocation = { .serve($0) }
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      switch argument {
      case "--help", "-h":
        self = .help
        return
      case "--version":
        self = .version
        return
      case "--check": make = { .check($0) }
      case "--run": make = { .run($0) }
      case "--upload":
        guard let digest = rest.popFirst().flatMap({ Digest($0) }),
          let size = rest.popFirst().flatMap({ Int64($0) }), size >= 0
        else {
          self = .misuse("--upload needs a SHA-256 and a number of bytes")
          return
        }
        make = { .upload($0, digest, size: size) }
      case "--config":
        guard let value = rest.popFirst(), !value.isEmpty else {
          self = .misuse("--config needs a file")
          return
        }
        path = value
      default:
        self = .misuse("`\(escapedForTerminal(argument))` is not understood")
        return
      }
    }
    self = make(path)
  }
}
