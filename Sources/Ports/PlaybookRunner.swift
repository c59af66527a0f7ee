import RolloutModel

/// Runs Ansible playbooks on hosts.
public protocol PlaybookRunner: Sendable {
  /// Runs one playbook to its end on every host of the job, and tells what happens as it happens, one event at a time. A
  /// cancelled task ends all processes of the run. Errors: what was found to be wrong before anything ran.
  func run(
    _ job: PlaybookJob, tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async throws(PlaybookError) -> PlaybookReport
}

/// What is to be run, and where.
public struct PlaybookJob: Sendable {
  /// A file that a playbook gets beside its variables: it travels with the run and is gone at its end.
  public struct Attachment: Hashable, Sendable {
    /// The variable that holds the file's path during the run.
    public var variable: String
    /// The file on this machine.
    public var path: String

    /// An attachment from its parts.
    public init(variable: String, path: String) {
      self.variable = variable
      self.path = path
    }
  }

  /// The folder that is sent: the playbook, roles, files and templates beside it.
  public var project: String
  /// The playbook's path inside the project.
  public var playbook: String
  /// The inventory that the hosts are from: it also has their variables. Nil for the hosts' connection and groups alone.
  public var inventory: String?
  /// The hosts.
  public var hosts: [Host]
  /// Extra variables, which win over all others.
  public var variables: [String: PlaybookValue]
  /// Files of this machine that the playbook reads.
  public var attachments: [Attachment] = []
  /// A file with the password of vaults; nil for none. What tasks say is withheld then.
  public var vaultPassword: String?
  /// Files that the job was made from. Like the inventory with its variables and the vaults' password they are for this machine
  /// alone: where they lie in the project, they are no part of it.
  public var sources: [String] = []
  /// Only what has one of these tags is run; none for all of it. Letters, digits, dashes and underscores.
  public var tags: [String] = []
  /// Nothing is changed, only foretold (Ansible's check mode).
  public var isCheck = false
  /// What the project must be; nil for whatever it is.
  public var digest: Digest?
  /// Hosts that are worked on at once.
  public var forks = 10
  /// The most that the whole run may take.
  public var deadline: Duration = .seconds(1800)

  /// A job without the parts that have a default.
  public init(
    project: String, playbook: String, inventory: String?, hosts: [Host], variables: [String: PlaybookValue]
  ) {
    self.project = project
    self.playbook = playbook
    self.inventory = inventory
    self.hosts = hosts
    self.variables = variables
  }
}

/// Why nothing was run.
public struct PlaybookError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure, for decisions.
  public enum Kind: Sendable {
    /// The job can't be run as it is written: nothing was changed.
    case invalid
    /// A program or file of this machine failed.
    case tool
  }

  /// What kind.
  public var kind: Kind
  /// What failed, where and why, escaped for a terminal.
  public var message: String
  /// What to do.
  public var hint: String

  /// An error from its parts.
  public init(_ kind: Kind, _ message: String, hint: String) {
    self.kind = kind
    self.message = message
    self.hint = hint
  }

  /// Message and hint in one line.
  public var description: String { hint.isEmpty ? message : "\(message); \(hint)" }
}

/// Streams of bytes to the hosts' playbook runners.
public protocol PlaybookDoor: Sendable {
  /// Opens a stream to a host's runner. Errors: nothing was asked of the host.
  func open(_ host: Host) async throws(DoorError) -> any PlaybookStream

  /// In words, how a host is reached.
  func way(to host: Host) -> String
}

/// Bytes both ways.
public protocol PlaybookStream: Sendable {
  /// Sends; returns once there is room for more.
  func write(_ bytes: [UInt8], within: Duration) async throws(DoorError)

  /// The next bytes; none at the end.
  func read(within: Duration) async throws(DoorError) -> [UInt8]

  /// Ends the stream, and with it whatever still runs at its other side.
  func close() async
}
