/// Brings the host program into the user's cache on a host: written beside, checked there, renamed.
struct ProgramPush: Sendable {
  let connection: SSHConnection
  let program: HostProgram
  let pool: BlockingPool
  /// Sets this controller's partial file apart from another's.
  let mark: String

  private var partialPath: String { "\(program.remotePath).part-\(mark)" }
  private static let piece = 256 * 1024

  /// Whether the whole program is there already.
  func isThere() async throws(SSHError) -> Bool {
    try await digest(of: program.remotePath) == program.digest
  }

  /// Sends the program. `isResumed`: an earlier try with the same mark may have left a part of it.
  func push(isResumed: Bool) async throws(SSHError) {
    let sent = isResumed ? try await partialSize() : 0
    var isComplete = sent > 0 ? try await arrives(from: sent) : false
    if !isComplete {
      // The writer of a connection that was lost may still be at it: the new one gets a file of its own.
      if isResumed { _ = try await connection.run(["rm", "-f", partialPath]) }
      // Each program that is started costs a host more than a megabyte does: there is no look whether the folder is there.
      try await demand(["mkdir", "-p", "-m", "0700", HostProgram.folder])
      isComplete = try await arrives(from: 0)
    }
    guard isComplete else {
      _ = try await connection.run(["rm", "-f", partialPath])
      throw refusal("what arrived at \(partialPath) is not what was sent")
    }
    try await demand(["chmod", "0700", partialPath])
    try await demand(["mv", "-f", partialPath, program.remotePath])
  }

  /// Sends what is missing after `offset`. True when the whole is there and has the right digest.
  private func arrives(from offset: Int) async throws(SSHError) -> Bool {
    if let complaint = try await send(from: offset) {
      guard offset == 0 else { return false }
      throw refusal(complaint)
    }
    return try await digest(of: partialPath) == program.digest
  }

  /// Writes the program's bytes from `offset` on to the partial file. Nil when they are all there, else the writer's
  /// complaint.
  private func send(from offset: Int) async throws(SSHError) -> String? {
    var arguments = ["dd", "of=\(partialPath)", "bs=65536", "status=none"]
    if offset > 0 { arguments += ["oflag=append", "conv=notrunc"] }
    let id = try await connection.start(command: shellQuoted(arguments))
    do throws(SSHError) {
      var next = offset
      while next < program.size {
        let bytes = try await piece(at: next)
        try await connection.bounded(connection.patience.step, .pushing) { [connection] in
          try await connection.write(bytes, to: id)
        }
        next += bytes.count
      }
      try await connection.finish(id)
      let output = try await connection.bounded(connection.patience.step, .pushing) { [connection] in
        try await connection.result(id)
      }
      await connection.discard(id)
      return output.exit.isSuccess ? nil : output.complaint
    } catch {
      await connection.discard(id)
      throw error
    }
  }

  private func piece(at offset: Int) async throws(SSHError) -> [UInt8] {
    do {
      let bytes = try await pool.run { [path = program.path] in
        let file = try LocalFile(path)
        defer { file.close() }
        return try file.read(at: offset, count: Self.piece)
      }
      guard !bytes.isEmpty else {
        throw LocalFileError(path: program.path, code: 0, other: "it became shorter while it was sent")
      }
      return bytes
    } catch {
      throw connection.target.error(.local("\(error)"))
    }
  }

  /// How much of the program an earlier try has brought there.
  private func partialSize() async throws(SSHError) -> Int {
    let output = try await connection.run(["stat", "-c", "%s", partialPath])
    let text = String(decoding: output.output, as: UTF8.self).prefix { !$0.isNewline }
    guard output.exit.isSuccess, let size = Int(text), size <= program.size else { return 0 }
    return size
  }

  /// The digest of a file there; nil where it can't be had.
  private func digest(of path: String) async throws(SSHError) -> String? {
    let output = try await connection.run(["sha256sum", "-b", path])
    guard output.exit.isSuccess else { return nil }
    let text = String(decoding: output.output, as: UTF8.self).prefix { !$0.isWhitespace }
    return text.utf8.count == 64 ? String(text) : nil
  }

  private func demand(_ arguments: [String]) async throws(SSHError) {
    let output = try await connection.run(arguments)
    guard output.exit.isSuccess else { throw refusal(output.complaint) }
  }

  private func refusal(_ why: String) -> SSHError {
    connection.target.error(.refused("the host program can't be brought there: \(why)"))
  }
}
