import CoreFoundation
import Crypto
import FoundationEssentials
import Glibc
import RolloutModel

/// Reads what `--archive [ARCH=]FILE` names.
enum Archives {
  /// The archives with size and digest; `sha256` is checked where there is one archive.
  static func load(_ arguments: [String], sha256: String?) async throws -> [ReleaseArchive] {
    var archives: [ReleaseArchive] = []
    for argument in arguments {
      let (architecture, path) = split(argument)
      guard !path.hasSuffix("/") else {
        throw CommandError.invalid(
          "--archive \(escapedForTerminal(argument)): this names a folder; name a file")
      }
      guard !archives.contains(where: { $0.architecture == architecture }) else {
        throw CommandError.invalid(
          "--archive \(escapedForTerminal(argument)): there are two archives \(architecture.isEmpty ? "for every architecture" : "for \(architecture)"); name ARCH=FILE for each"
        )
      }
      let (digest, bytes) = try await measure(path)
      archives.append(ReleaseArchive(architecture: architecture, path: path, digest: digest, bytes: bytes))
    }
    if let sha256 {
      guard let expected = RolloutModel.Digest(sha256) else {
        throw CommandError.invalid(
          "--sha256 \(escapedForTerminal(sha256)): not a SHA-256 digest; give 64 hexadecimal digits")
      }
      guard archives.count == 1, let only = archives.first else {
        throw CommandError.invalid(
          "--sha256 names one digest and there are \(archives.count) archives; give one archive")
      }
      guard only.digest == expected else {
        throw CommandError.invalid(
          "\(escapedForTerminal(only.path)): its SHA-256 is \(only.digest) and not \(expected): it's another file, or a damaged one; fetch it again"
        )
      }
    }
    return archives.sorted { $0.architecture < $1.architecture }
  }

  private static func split(_ argument: String) -> (architecture: String, path: String) {
    let name = argument.prefix(while: { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") })
    guard !name.isEmpty, argument[name.endIndex...].hasPrefix("=") else { return ("", absolute(argument)) }
    return (String(name), absolute(String(argument[name.endIndex...].dropFirst())))
  }

  /// The journal outlives the folder that a verb is called in.
  private static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }

  /// Digest and size of a file, read off the cooperative pool.
  static func measure(_ path: String) async throws -> (RolloutModel.Digest, Int64) {
    try await offThePool { try read(path) }
  }

  private static func read(_ path: String) throws -> (RolloutModel.Digest, Int64) {
    // O_NONBLOCK: opening a named pipe must not wait for its writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw CommandError.invalid(
        "\(escapedForTerminal(path)): the archive can't be read: \(String(cString: strerror(errno))); check the path and its permissions"
      )
    }
    defer { close(descriptor) }
    var about = stat()
    guard fstat(descriptor, &about) == 0, about.st_mode & S_IFMT == S_IFREG else {
      throw CommandError.invalid(
        "\(escapedForTerminal(path)): the archive is no file; name a .tar, .tar.gz, .tar.xz or .tar.zst")
    }
    var hash = SHA256()
    var total: Int64 = 0
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw CommandError.invalid(
          "\(escapedForTerminal(path)): the archive can't be read: \(String(cString: strerror(errno))); check the path and its permissions"
        )
      }
      if count == 0 { break }
      hash.update(data: buffer[..<count])
      total += Int64(count)
    }
    guard total > 0 else {
      throw CommandError.invalid(
        "\(escapedForTerminal(path)): the archive is empty; check that it was written whole")
    }
    guard let digest = RolloutModel.Digest(bytes: Array(hash.finalize())) else {
      throw CommandError.tool("\(escapedForTerminal(path)): the digest could not be computed")
    }
    return (digest, total)
  }
}
