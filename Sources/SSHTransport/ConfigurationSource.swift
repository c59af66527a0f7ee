import RolloutModel
import Synchronization

/// Asks OpenSSH itself how a host is to be reached: `ssh -G` with what the inventory says as options, so that OpenSSH
/// merges the two. Answers are kept for the life of the door.
final class ConfigurationSource: Sendable {
  /// What is asked about one name.
  struct Question: Hashable, Sendable {
    var name: String
    var options: [String]
    /// Those among the options.
    var knownHostsFiles: [String] = []
  }

  private struct Answers {
    var tasks: [Question: Task<Result<ResolvedConfiguration, ConfigurationProblem>, Never>] = [:]
    var uniformity: Task<Bool, Never>?
  }

  private let pool: BlockingPool
  private let user: LocalUser
  private let program: String
  private let file: String?
  private let answers = Mutex(Answers())

  private static let deepestJump = 8
  /// Stands for every host where the configuration is the same for all.
  private static let placeholder = "any-host.invalid"

  init(pool: BlockingPool, user: LocalUser, program: String, file: String?) {
    self.pool = pool
    self.user = user
    self.program = program
    self.file = file
  }

  /// How to reach a host, its jump hosts included.
  func target(for host: Host) async throws(SSHError) -> SSHTarget {
    do throws(ConfigurationProblem) {
      let question = Question(
        name: host.address, options: try options(for: host), knownHostsFiles: host.knownHostsFiles)
      var target = try await target(question, depth: 0)
      for index in target.jumps.indices {
        // The files that the inventory names hold for the way as well, after what the configuration says of the jump
        // host: an inventory has no other place to say it.
        target.jumps[index].knownHostsFiles += host.knownHostsFiles
        target.jumps[index].identityFiles += host.identityFile.map { [$0] } ?? []
      }
      return target
    } catch {
      let place = host.address == host.name ? host.name : "\(host.name) (\(host.address))"
      throw SSHError(
        .configuration(error.description), place: escapedForTerminal(place), address: host.address,
        port: host.port ?? 22)
    }
  }

  /// What the inventory says, as options of ssh.
  private func options(for host: Host) throws(ConfigurationProblem) -> [String] {
    var options: [String] = []
    func add(_ keyword: String, _ values: [String]) throws(ConfigurationProblem) {
      guard !values.isEmpty else { return }
      for value in values where value.contains(where: { $0 == "\"" || $0.isNewline }) {
        throw ConfigurationProblem("`\(value)` can't be a value of \(keyword)")
      }
      options += ["-o", keyword + "=" + values.map { "\"\($0)\"" }.joined(separator: " ")]
    }
    try add("Port", host.port.map { ["\($0)"] } ?? [])
    try add("User", host.user.map { [$0] } ?? [])
    try add("IdentityFile", host.identityFile.map { [$0] } ?? [])
    try add("UserKnownHostsFile", host.knownHostsFiles)
    if let jump = host.proxyJump {
      // ssh takes no quotes here. What it is has been checked: it can be nothing else than hops.
      _ = try JumpSpecification.list(jump)
      options += ["-o", "ProxyJump=\(jump)"]
    }
    return options
  }

  private func target(_ question: Question, depth: Int) async throws(ConfigurationProblem) -> SSHTarget {
    let configuration = try await configuration(question)
    var target = try configuration.target(
      for: question.name, placeholder: Self.placeholder, user: user, knownHostsFiles: question.knownHostsFiles
    )
    guard let jump = configuration["proxyjump"] else { return target }
    guard depth < Self.deepestJump else { throw ConfigurationProblem("its ProxyJump leads in a circle") }
    var jumps: [SSHTarget] = []
    for (index, hop) in try JumpSpecification.list(jump).enumerated() {
      var options = hop.user.map { ["-o", "User=\"\($0)\""] } ?? []
      options += hop.port.map { ["-o", "Port=\($0)"] } ?? []
      // Like ssh: only the first hop goes by its own ProxyJump, the others are reached through the one before.
      if index > 0 { options += ["-o", "ProxyJump=none"] }
      var resolved = try await self.target(Question(name: hop.host, options: options), depth: depth + 1)
      jumps += resolved.jumps
      resolved.jumps = []
      jumps.append(resolved)
    }
    target.jumps = jumps
    return target
  }

  private func configuration(
    _ question: Question
  ) async throws(ConfigurationProblem) -> ResolvedConfiguration {
    guard !question.name.isEmpty, !question.name.hasPrefix("-") else {
      throw ConfigurationProblem("`\(question.name)` is no name of a host")
    }
    if await isUniform() {
      var asked = question
      asked.name = Self.placeholder
      let answer = try await answer(to: asked)
      // Some of the tokens in paths are filled in by ssh, others are left to us.
      if !answer.mentions(Self.placeholder) { return answer }
    }
    return try await answer(to: question)
  }

  private func answer(to asked: Question) async throws(ConfigurationProblem) -> ResolvedConfiguration {
    let task = answers.withLock { answers in
      if let task = answers.tasks[asked] { return task }
      let task = Task { await self.ask(asked) }
      answers.tasks[asked] = task
      return task
    }
    let answer = await task.value
    // An answer is kept, a failure is not: it may be put right meanwhile.
    if case .failure = answer {
      answers.withLock { if $0.tasks[asked] == task { $0.tasks[asked] = nil } }
    }
    return try answer.get()
  }

  private func isUniform() async -> Bool {
    let task = answers.withLock { answers in
      if let task = answers.uniformity { return task }
      let task = Task { await self.scan() }
      answers.uniformity = task
      return task
    }
    return await task.value
  }

  private func scan() async -> Bool {
    let own = (file ?? user.home + "/.ssh/config", user.home + "/.ssh")
    let files = file == nil ? [own, ("/etc/ssh/ssh_config", "/etc/ssh")] : [own]
    do {
      return try await pool.run { [home = user.home] in
        var scan = ConfigurationScan(home: home)
        return scan.isUniform(files)
      }
    } catch {
      return false
    }
  }

  private func ask(_ question: Question) async -> Result<ResolvedConfiguration, ConfigurationProblem> {
    var arguments = [program, "-G"]
    if let file { arguments += ["-F", file] }
    arguments += question.options + ["--", question.name]
    do {
      let result = try await pool.run { [arguments] in try runLocalProgram(arguments, within: .seconds(15)) }
      guard result.status == 0 else {
        let words = String(decoding: result.errors.suffix(400), as: UTF8.self).split(
          whereSeparator: \.isNewline)
        return .failure(ConfigurationProblem("ssh -G says: " + words.joined(separator: " ")))
      }
      return .success(ResolvedConfiguration(String(decoding: result.output, as: UTF8.self)))
    } catch {
      return .failure(ConfigurationProblem("\(error)"))
    }
  }
}
