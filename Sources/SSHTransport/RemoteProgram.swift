/// What a program on the other side has printed, and how it ended.
struct RemoteOutput: Hashable, Sendable {
  var exit: Channel.Exit
  var output: [UInt8]
  /// The last of its error output.
  var errors: [UInt8]

  /// The error output as text, or the exit status where there is none.
  var complaint: String {
    let text = String(decoding: errors, as: UTF8.self).split(whereSeparator: \.isNewline).joined(
      separator: " ")
    if !text.isEmpty { return text }
    return exit.signal.map { "ended by signal \($0)" } ?? "ended with status \(exit.status)"
  }
}

extension SSHConnection {
  /// The most output that `run` takes.
  private static let outputLimit = 1 << 20

  /// Runs a program that is soon done to its end. `arguments` reach it as they are.
  func run(_ arguments: [String]) async throws(SSHError) -> RemoteOutput {
    let id = try await start(command: shellQuoted(arguments))
    defer { discard(id) }
    try finish(id)
    return try await bounded(patience.step, .pushing) { try await self.result(id) }
  }

  /// What a started program still prints, and how it ends.
  func result(_ id: Int) async throws(SSHError) -> RemoteOutput {
    var output: [UInt8] = []
    while true {
      let bytes = try await read(id)
      if bytes.isEmpty { break }
      guard output.count + bytes.count <= Self.outputLimit else {
        throw target.error(.refused("a program printed more than \(Self.outputLimit) bytes"))
      }
      output += bytes
    }
    let (exit, errors) = try await exit(id)
    return RemoteOutput(exit: exit, output: output, errors: errors)
  }
}
