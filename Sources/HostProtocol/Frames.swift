import FoundationEssentials
import RolloutModel

/// One frame of the conversation: four bytes of length (big endian, of what follows), one byte of kind, the payload.
///
/// Requests and replies are JSON and alternate, one reply a request, in order. Between `stage` and `stageEnd` the
/// controller sends the archive's bytes as data frames, from the offset that the host named; they get no reply.
public enum Frame: Hashable, Sendable {
  /// Controller to host.
  case request(HostRequest)
  /// Host to controller.
  case reply(HostReply)
  /// A piece of the announced archive.
  case data([UInt8])

  /// The longest payload of a data frame that is sent.
  public static let dataLimit = 256 * 1024
  /// The longest frame that is accepted, in bytes after the length.
  public static let limit = 1024 * 1024

  /// The frame's bytes.
  public func encoded() throws -> [UInt8] {
    let kind: UInt8
    let payload: [UInt8]
    switch self {
    case .request(let request):
      kind = 1
      payload = try canonicalJSON(request)
    case .reply(let reply):
      kind = 2
      payload = try canonicalJSON(reply)
    case .data(let bytes):
      kind = 3
      payload = bytes
    }
    guard payload.count < Frame.limit else { throw FrameError.tooLong(payload.count) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(payload.count + 5)
    let length = UInt32(payload.count + 1)
    for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
    bytes.append(kind)
    bytes += payload
    return bytes
  }
}

/// Why bytes are no frame.
public enum FrameError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The frame is longer than ``Frame/limit``, or has no kind.
  case tooLong(Int)
  /// The kind is not known.
  case unknownKind(UInt8)
  /// The payload is not what its kind says.
  case malformed(String)

  /// What is wrong.
  public var description: String {
    switch self {
    case .tooLong(let count): "a frame of \(count) bytes is not one of 1 to \(Frame.limit)"
    case .unknownKind(let kind): "a frame of unknown kind \(kind)"
    case .malformed(let why): "a frame that can't be read: \(why)"
    }
  }
}

/// Cuts a stream of bytes into frames; never holds more than one frame and the bytes of one push.
public struct FrameReader: Sendable {
  private var buffer: [UInt8] = []
  private var start = 0

  /// A reader at the beginning of a stream.
  public init() {}

  /// Takes in the next bytes of the stream.
  public mutating func push(_ bytes: some Sequence<UInt8>) {
    if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    buffer.append(contentsOf: bytes)
  }

  /// The next whole frame; nil until more bytes are pushed. After an error the stream can't be gone on with.
  public mutating func next() throws(FrameError) -> Frame? {
    let available = buffer.count - start
    guard available >= 4 else { return nil }
    var length = 0
    for offset in 0..<4 { length = length << 8 | Int(buffer[start + offset]) }
    guard length >= 1, length <= Frame.limit else { throw .tooLong(length) }
    guard available >= 4 + length else { return nil }
    let kind = buffer[start + 4]
    let payload = Array(buffer[(start + 5)..<(start + 4 + length)])
    start += 4 + length
    do {
      switch kind {
      case 1: return .request(try JSONDecoder().decode(HostRequest.self, from: Data(payload)))
      case 2: return .reply(try JSONDecoder().decode(HostReply.self, from: Data(payload)))
      case 3: return .data(payload)
      default: throw FrameError.unknownKind(kind)
      }
    } catch let error as FrameError {
      throw error
    } catch {
      throw .malformed("\(error)")
    }
  }
}
