import Certificates
import Dispatch
import FoundationEssentials
import Glibc
import Ports
import RolloutModel
import Synchronization
import Testing

/// A clock that tests turn by hand, and chance that is real unless a test takes it away.
final class HandTime: Timekeeper {
  private let hand: Mutex<Int64>
  private let fixedChance: UInt64?

  /// 2026-06-01T00:00:00Z, at which nothing that the machine's own clock makes plays a part.
  static let start: Int64 = 1_780_272_000_000

  init(_ wall: Int64 = HandTime.start, chance: UInt64? = nil) {
    hand = Mutex(wall)
    fixedChance = chance
  }

  var wall: Int64 { hand.withLock { $0 } }
  var now: Moment { Moment(milliseconds: wall) }
  var chance: UInt64 { fixedChance ?? UInt64.random(in: .min ... .max) }
  func sleep(_ span: Span) async throws {}

  func pass(days: Int64) { hand.withLock { $0 += days * 86_400_000 } }
}

/// A folder of a test's own with an authority in it, removed afterwards.
final class Site: Sendable {
  struct Outcome: Sendable {
    var code: Int32
    /// Both of its outputs.
    var output: String
  }

  let root: String
  let time: HandTime
  private let count = Mutex(0)

  /// Hands `body` a site with a new authority.
  static func with<Value>(
    time: HandTime = HandTime(), _ body: (Site, Authority) async throws -> Value
  ) async throws -> Value {
    try await bare(time: time) { site in
      let authority = site.authority()
      _ = try authority.create()
      return try await body(site, authority)
    }
  }

  /// Hands `body` a site with nothing in it.
  static func bare<Value>(
    time: HandTime = HandTime(), _ body: (Site) async throws -> Value
  ) async throws -> Value {
    let site = try Site(time)
    defer { _ = try? FileManager.default.removeItem(atPath: site.root) }  // what is left is in /tmp
    return try await body(site)
  }

  private init(_ time: HandTime) throws {
    var template = Array("/tmp/switchyard-certificates-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
    root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    self.time = time
  }

  func authority(_ name: String = "ca") -> Authority { Authority(directory: path(name), time: time) }

  func path(_ name: String) -> String { "\(root)/\(name)" }

  func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path(name)))) }

  func text(_ name: String) throws -> String { String(decoding: try bytes(name), as: UTF8.self) }

  /// Puts bytes in a file's place; its mode stays.
  func overwrite(_ name: String, _ bytes: [UInt8]) throws {
    let file = open(path(name), O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0o600)
    try #require(file >= 0)
    defer { close(file) }
    try #require(write(file, bytes, bytes.count) == bytes.count)
  }

  func mode(_ name: String) -> mode_t {
    var about = stat()
    return lstat(path(name), &about) == 0 ? about.st_mode & 0o7777 : 0
  }

  /// All names below a folder, sorted.
  func names(_ folder: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: path(folder)).sorted()
  }

  /// Runs the real `openssl` in the site's folder.
  func openssl(_ arguments: String...) async throws -> Outcome { try await openssl(arguments) }

  func openssl(_ arguments: [String]) async throws -> Outcome {
    let number = count.withLock {
      $0 += 1
      return $0
    }
    let output = path("openssl.\(number)")
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT, 0o600)
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    let words = ["timeout", "60", "env", "-C", root, "openssl"] + arguments
    var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var pid = pid_t()
    try #require(posix_spawn(&pid, "/usr/bin/timeout", &actions, nil, &pointers, environ) == 0)
    let child = pid
    let status: Int32 = await withCheckedContinuation { done in
      DispatchQueue.global().async {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        done.resume(returning: status)
      }
    }
    return Outcome(code: (status >> 8) & 0xff, output: try text("openssl.\(number)"))
  }

  /// Asks OpenSSL whether a certificate counts at the site's time, for a purpose and by a revocation list.
  func verify(
    _ certificate: String, _ purpose: String, list: String = "ca/crl.pem", authority: String = "ca/ca.pem"
  ) async throws -> Outcome {
    try await openssl(
      "verify", "-CAfile", authority, "-crl_check", "-CRLfile", list, "-purpose", purpose, "-x509_strict",
      "-attime", "\(time.wall / 1000)", certificate)
  }
}

/// Runs what must fail, and answers with how.
///
/// Swift 6.3.1 crashes on tests whose closures have typed errors ("SendNonSendable"): here they have none.
func failure<Value>(
  sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Value
) -> AuthorityError? {
  do {
    _ = try body()
    Issue.record("nothing failed", sourceLocation: sourceLocation)
    return nil
  } catch {
    let found = error as? AuthorityError
    #expect(found?.message.isEmpty == false && found?.hint.isEmpty == false, sourceLocation: sourceLocation)
    return found
  }
}
