import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import RolloutModel

/// Files that clients bring.
struct UploadRoutes: Sendable {
  let store: UploadStore
  let limits: Limits
  private let places: Places

  init(store: UploadStore, limits: Limits) {
    self.store = store
    self.limits = limits
    places = Places(limits.uploads)
  }

  /// What is gathered before it is written.
  private static let piece = 256 * 1024

  var routes: [Route] {
    let digest = Documentation.Parameter(
      "sha256", .path, "The file's SHA-256", schema: ["type": "string", "pattern": "^[0-9a-f]{64}$"])
    func count(_ name: String, _ about: String) -> Documentation.Parameter {
      Documentation.Parameter(name, .query, about, schema: ["type": "integer", "minimum": 0])
    }
    return [
      Route(
        .get, "/v1/uploads/{sha256}", limit: limits.answer,
        .init(
          "How much of a file is here", tag: "uploads", receives: .json(Self.schema), parameters: [digest],
          failures: [400]), answer: look),
      Route(
        .put, "/v1/uploads/{sha256}", limit: nil,
        .init(
          "Brings a file, or what is lacking of it from an offset on; with its last byte it is checked and gets its name",
          tag: "uploads", sends: .bytes, receives: .json(Self.schema),
          parameters: [
            digest, count("size", "The whole file's bytes"),
            count("offset", "Where the body begins in the file"),
          ], failures: [400, 409, 413, 422, 507]), answer: take),
    ]
  }

  /// Removes what has expired, again and again until the task is cancelled.
  func tidy(log: Logger) async {
    while true {
      do {
        try await NIOThreadPool.singleton.runIfActive { try store.expire() }
      } catch let error as AgentError {
        log.warning("old uploads can't be removed", metadata: ["error": .string(error.message)])
      } catch {
        // Cancelled: the agent ends.
        return
      }
      do { try await Task.sleep(for: limits.tidying) } catch { return }
    }
  }

  @Sendable private func look(_ call: Call) async throws -> Answer {
    let digest = try Self.digest(call)
    let standing = try await NIOThreadPool.singleton.runIfActive { try store.look(digest) }
    return Self.answer(digest, standing)
  }

  @Sendable private func take(_ call: Call) async throws -> Answer {
    let digest = try Self.digest(call)
    let size = try Self.number("size", call)
    let offset = try Self.number("offset", call)
    guard let place = places.take() else {
      throw AgentError(
        .serviceUnavailable, "busy", "\(limits.uploads) files arrive already", hint: "ask again later")
    }
    defer { withExtendedLifetime(place) {} }
    if let length = call.request.headers[.contentLength].flatMap({ Int64($0) }), length > size - offset {
      throw Self.tooLong(size, offset)
    }
    let arrival = try await NIOThreadPool.singleton.runIfActive {
      try store.begin(digest, size: size, offset: offset)
    }
    guard let arrival else {
      try await receive(call, upTo: size - offset, size, offset) { _, _ in }
      return Self.answer(digest, .init(have: size, isComplete: true))
    }
    try await receive(call, upTo: size - offset, size, offset) { bytes, place in
      try await NIOThreadPool.singleton.runIfActive { try arrival.add(bytes, at: place) }
    }
    let standing = try await NIOThreadPool.singleton.runIfActive { try arrival.end() }
    call.named.info(
      standing.isComplete ? "a file was brought" : "a part of a file was brought",
      metadata: ["sha256": .string(digest.hex), "bytes": .stringConvertible(standing.have)])
    return Self.answer(digest, standing)
  }

  /// Reads the body and hands it on in pieces. What came before a client broke off is handed on, too.
  private func receive(
    _ call: Call, upTo most: Int64, _ size: Int64, _ offset: Int64,
    _ hand: ([UInt8], Int64) async throws -> Void
  ) async throws {
    guard var pieces = call.body.pieces() else { return }
    let patience = Patience(call.channel, limit: limits.pause)
    defer { patience.stop() }
    var place = offset
    var gathered: [UInt8] = []
    while true {
      let next: ByteBuffer?
      patience.start()
      do { next = try await pieces.next() } catch {
        patience.stop()
        if !gathered.isEmpty { try await hand(gathered, place) }
        throw error
      }
      patience.stop()
      let isOver = next == nil
      if let next { gathered += next.readableBytesView }
      guard place - offset + Int64(gathered.count) <= most else { throw Self.tooLong(size, offset) }
      if isOver || gathered.count >= Self.piece {
        if !gathered.isEmpty { try await hand(gathered, place) }
        place += Int64(gathered.count)
        gathered.removeAll(keepingCapacity: true)
      }
      if isOver {
        try Task.checkCancellation()
        call.body.end()
        return
      }
    }
  }

  private static func tooLong(_ size: Int64, _ offset: Int64) -> AgentError {
    AgentError(
      .contentTooLarge, "too_large", "the body goes beyond the \(size) bytes of the file, from \(offset) on",
      hint: "send what lies between offset and size")
  }

  private static func digest(_ call: Call) throws(AgentError) -> RolloutModel.Digest {
    let text = call.parameter("sha256")
    guard let digest = RolloutModel.Digest(text), digest.hex == text else {
      throw .invalid("the path names no SHA-256", hint: "use 64 digits of 0 to 9 and a to f")
    }
    return digest
  }

  private static func number(_ name: String, _ call: Call) throws(AgentError) -> Int64 {
    guard let text = call.query(name), text.utf8.count <= 15,
      text.utf8.allSatisfy({ (48...57).contains($0) }),
      let number = Int64(text)
    else {
      throw .invalid("the query has no \(name)", hint: "ask for /v1/uploads/SHA256?size=BYTES&offset=BYTES")
    }
    return number
  }

  private static func answer(_ digest: RolloutModel.Digest, _ standing: UploadStore.Standing) -> Answer {
    Answer([
      "sha256": .text(digest.hex), "have": .number(standing.have), "complete": .flag(standing.isComplete),
    ])
  }

  private static let schema: JSON = [
    "type": "object", "required": ["sha256", "have", "complete"],
    "properties": [
      "sha256": ["type": "string"],
      "have": ["type": "integer", "description": "How many bytes are here: where to go on"],
      "complete": ["type": "boolean", "description": "Whether the file is here, its digest checked"],
    ],
  ]
}
