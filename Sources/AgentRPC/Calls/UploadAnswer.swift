import FoundationEssentials
import Ports
import RolloutModel
import SSHTransport

/// What an agent says of a file that is brought.
enum UploadAnswer: Hashable {
  case standing(have: Int64, isComplete: Bool)
  case refused(code: String, message: String, hint: String)
  case garbled

  private struct Fields: Decodable {
    struct Failure: Decodable {
      var code: String
      var message: String
      var hint: String?
    }

    var have: Int64?
    var complete: Bool?
    var error: Failure?
  }

  /// Reads one JSON document.
  init(_ json: [UInt8]) {
    // What can't be read says nothing.
    let fields = try? JSONDecoder().decode(Fields.self, from: Data(json))
    if let have = fields?.have, let complete = fields?.complete, have >= 0 {
      self = .standing(have: have, isComplete: complete)
    } else if let error = fields?.error {
      self = .refused(code: error.code, message: error.message, hint: error.hint ?? "")
    } else {
      self = .garbled
    }
  }

  /// The end that this is where it is no success.
  func refusal(_ place: String) throws(DoorError) -> AgentUploadEnd {
    switch self {
    case .refused(let code, let message, let hint): return .refused(code: code, message: message, hint: hint)
    case .standing(let have, _):
      throw DoorError(
        .lost, "\(place): the agent has \(have) bytes of the file and not all", hint: "bring it again")
    case .garbled: throw DoorError(.garbled, "\(place): what the agent says of the file can't be read")
    }
  }
}

/// The lines in which the agent's program says how a file stands.
struct UploadAnswers {
  let stream: any HostStream
  let within: Duration
  private var buffer: [UInt8] = []
  /// Whether the program has said anything yet.
  private var isHeard = false

  init(stream: any HostStream, within: Duration) {
    self.stream = stream
    self.within = within
  }

  mutating func next() async throws(DoorError) -> UploadAnswer {
    while buffer.count < 65_536 {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        let line = Array(buffer[..<end])
        buffer.removeFirst(end + 1)
        return UploadAnswer(line)
      }
      let bytes: [UInt8]
      do throws(StreamFailure) { bytes = try await stream.read(within: within) } catch { throw error.error }
      guard !bytes.isEmpty else { throw await ended() }
      isHeard = true
      buffer += bytes
    }
    return .garbled
  }

  private func ended() async -> DoorError {
    do throws(StreamFailure) {
      let words = try await stream.lastWords(within: within)
      return ProgramEnd(words: words, isBegun: isHeard).error(
        at: stream.place, what: "the file", unknown: "uploads")
    } catch {
      return error.error
    }
  }
}

/// A file of this machine while it is brought.
struct UploadSource: Sendable {
  private let file: LocalFile
  private let pool: BlockingPool
  private let size: Int64

  init(_ upload: AgentUpload, on pool: BlockingPool) async throws(DoorError) {
    self.pool = pool
    size = upload.size
    do {
      file = try await pool.run { [path = upload.path] in try LocalFile(path) }
    } catch {
      throw DoorError(.local, escapedForTerminal("\(error)"))
    }
  }

  init(_ upload: AgentUpload, on door: SSHDoor) async throws(DoorError) {
    try await self.init(upload, on: door.pool)
  }

  /// The next bytes from a place, which is before the end.
  func piece(at place: Int64) async throws(DoorError) -> [UInt8] {
    let count = Int(min(256 * 1024, size - place))
    let bytes: [UInt8]
    do {
      bytes = try await pool.run { [file] in try file.read(at: Int(place), count: count) }
    } catch {
      throw DoorError(.local, escapedForTerminal("\(error)"))
    }
    guard !bytes.isEmpty else { throw DoorError(.local, "the file became shorter while it was sent") }
    return bytes
  }

  func close() { file.close() }
}
