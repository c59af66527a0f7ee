import NIOPosix
import RolloutModel

/// A file that is brought without the server: for whoever came to the host by another way, as the agent's user. It goes where
/// `PUT /v1/uploads` puts it. First is printed how much of it is here, then what is lacking is read from standard input, and at
/// its end is printed how it stands.
struct UploadByHand: Sendable {
  let configuration: AgentConfiguration
  let limits: Limits

  /// Takes the file with this digest and size.
  func run(_ digest: Digest, size: Int64) async -> AgentProgram.Exit {
    let store = UploadStore(of: configuration, limits)
    do {
      let standing = try await NIOThreadPool.singleton.runIfActive { try store.look(digest) }
      let have = min(standing.have, size)
      let arrival = try await NIOThreadPool.singleton.runIfActive {
        try standing.isComplete ? nil : store.begin(digest, size: size, offset: have)
      }
      guard await tell(.init(have: have, isComplete: arrival == nil)) else { return .failed }
      guard let arrival else { return .done }
      var place = have
      while true {
        let (piece, offset) = (try await StandardStreams.read(), place)
        if piece.isEmpty { break }
        guard Int64(piece.count) <= size - offset else {
          throw AgentError.invalid(
            "more came than the file's \(size) bytes", hint: "send what is lacking alone")
        }
        try await NIOThreadPool.singleton.runIfActive { try arrival.add(piece, at: offset) }
        place += Int64(piece.count)
      }
      let end = try await NIOThreadPool.singleton.runIfActive { try arrival.end() }
      return await tell(end) ? .done : .failed
    } catch let error as AgentError {
      return await StandardStreams.print(error.body) ? .invalid : .failed
    } catch {
      return .failed
    }
  }

  private func tell(_ standing: UploadStore.Standing) async -> Bool {
    await StandardStreams.print(["have": .number(standing.have), "complete": .flag(standing.isComplete)])
  }
}
