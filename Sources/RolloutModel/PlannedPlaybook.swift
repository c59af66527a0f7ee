/// A playbook that a rollout runs on hosts: an agent file's `prepare`, or a policy's hook.
public struct PlannedPlaybook: Hashable, Sendable, Codable {
  /// The folder with all that the playbook needs.
  public var project: String
  /// The playbook's path in it.
  public var playbook: String
  /// The digest of all of it, frozen by the plan; nil before.
  public var digest: Digest?

  /// A playbook from its parts.
  public init(project: String, playbook: String, digest: Digest?) {
    self.project = project
    self.playbook = playbook
    self.digest = digest
  }
}
