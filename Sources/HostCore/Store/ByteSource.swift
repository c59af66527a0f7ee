import Glibc
import RolloutModel

/// Bytes in order, from a file or a program.
protocol ByteSource: AnyObject {
  /// At least one byte and at most `limit`; empty at the end.
  func read(limit: Int) throws(HostFailure) -> [UInt8]
}

/// A file's bytes.
final class FileSource: ByteSource {
  private let file: Descriptor
  private let deadline: Deadline

  init(_ file: Descriptor, deadline: Deadline) {
    self.file = file
    self.deadline = deadline
  }

  func read(limit: Int) throws(HostFailure) -> [UInt8] {
    guard !deadline.passed else {
      throw HostFailure(.deadline, "unpacking took too long and was given up")
    }
    return try readOnce(file.number, limit: limit, what: "reading the archive") ?? []
  }
}

/// What a decompressing program writes. Its end counts only when the program says that all was well.
final class DecompressedSource: ByteSource {
  private let child: ChildProcess
  private let deadline: Deadline
  private var ended = false

  init(_ argv: [String], of archive: Descriptor, deadline: Deadline) throws(HostFailure) {
    child = try ChildProcess(argv, stdin: archive)
    self.deadline = deadline
  }

  func read(limit: Int) throws(HostFailure) -> [UInt8] {
    while !ended {
      guard !deadline.passed else {
        throw HostFailure(.deadline, "unpacking with \(child.name) took too long and was given up")
      }
      if let bytes = try readOnce(child.output.number, limit: limit, what: "reading from \(child.name)") {
        if !bytes.isEmpty { return bytes }
        ended = true
        try checkEnd()
        break
      }
      var wait = pollfd(fd: child.output.number, events: Int16(POLLIN), revents: 0)
      poll(&wait, 1, deadline.pollTimeout(cap: 1000))
    }
    return []
  }

  private func checkEnd() throws(HostFailure) {
    guard let status = child.exited(by: deadline) else {
      throw HostFailure(.deadline, "\(child.name) did not end and was killed")
    }
    guard !status.isSuccess else { return }
    let words = try readOnce(child.errors.number, limit: 4096, what: "reading from \(child.name)") ?? []
    let why = escapedForTerminal(String(decoding: words, as: UTF8.self).prefix(while: { !$0.isNewline }))
    throw HostFailure(
      .archiveRefused,
      "the archive is damaged: \(child.name) ended with \(status)\(why.isEmpty ? "" : ": \(why)")")
  }
}

/// Exact reads from a source, and a bound on how much it may give at all.
struct BoundedReader {
  private let source: any ByteSource
  private let limit: Int64
  private var buffer: [UInt8] = []
  private var place = 0
  private(set) var total: Int64 = 0

  init(_ source: any ByteSource, limit: Int64) {
    self.source = source
    self.limit = limit
  }

  /// At most `count` bytes, at least one; empty at the end.
  mutating func some(_ count: Int) throws(HostFailure) -> ArraySlice<UInt8> {
    if place == buffer.count {
      buffer = try source.read(limit: 128 * 1024)
      place = 0
      total += Int64(buffer.count)
      guard total <= limit else { throw bomb }
    }
    let end = place + min(count, buffer.count - place)
    defer { place = end }
    return buffer[place..<end]
  }

  /// Throws where what is announced can't come within the bound.
  func expect(_ bytes: Int64) throws(HostFailure) {
    guard bytes <= limit - (total - Int64(buffer.count - place)) else { throw bomb }
  }

  private var bomb: HostFailure {
    HostFailure(
      .archiveRefused, "the archive unpacks to more than \(limit) bytes, far more than its own size allows",
      hint: "an archive like this is taken for a bomb; pack less into one release")
  }

  /// Exactly `count` bytes; nil where the source is at its end already. Throws where it ends in between.
  mutating func exactly(_ count: Int, of what: String) throws(HostFailure) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
      let piece = try some(count - bytes.count)
      if piece.isEmpty {
        if bytes.isEmpty { return nil }
        throw HostFailure(.archiveRefused, "the archive is cut off in \(what)")
      }
      bytes += piece
    }
    return bytes
  }
}
