import EventLoop
import FoundationEssentials
import Glibc
import Synchronization

@testable import SSHTransport

/// One loop for all tests, as one serves all hosts of a program. It lasts as long as the process.
let sharedLoop: EventLoop = {
  do {
    return try EventLoop(name: "ssh-test")
  } catch {
    preconditionFailure("no event loop: \(error)")
  }
}()

/// For what blocks in a test: Swift's own threads are few.
let threads = BlockingPool(threads: 64)

/// Something that a test needs did not work.
struct Trouble: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
  /// A system call that failed just now.
  static func call(_ name: String) -> Trouble { Trouble("\(name): \(String(cString: strerror(errno)))") }
}

/// A folder that goes away with its owner, its path short enough for a socket's.
final class Scratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/swy-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Trouble.call("mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { removeTree(path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file, and gives back its path.
  @discardableResult
  func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
    try write(name, Array(text.utf8), mode: mode)
  }

  @discardableResult
  func write(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o600) throws -> String {
    try Data(bytes).write(to: URL(filePath: file(name)))
    guard chmod(file(name), mode) == 0 else { throw Trouble.call("chmod") }
    return file(name)
  }

  func makeFolder(_ name: String) throws {
    guard mkdir(file(name), 0o700) == 0 else { throw Trouble.call("mkdir") }
  }

  func contents(_ name: String) throws -> [UInt8] { try LocalFile.contents(file(name), limit: 1 << 28) }

  func text(_ name: String) throws -> String { String(decoding: try contents(name), as: UTF8.self) }

  /// Spoils the first bytes of a file.
  static func overwrite(_ path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0, Glibc.write(descriptor, "spoilt", 6) == 6, close(descriptor) == 0 else {
      throw Trouble.call("write")
    }
  }

  func exists(_ name: String) -> Bool { access(file(name), F_OK) == 0 }
}

func removeTree(_ path: String) {
  // What is left behind in the temporary folder harms no test.
  try? FileManager.default.removeItem(atPath: path)
}

/// Runs a program to its end; an error unless it succeeds.
@discardableResult
func run(_ arguments: [String]) async throws -> String {
  let result = try await threads.run { try runLocalProgram(arguments, within: .seconds(60)) }
  guard result.status == 0 else {
    throw Trouble("\(arguments): \(String(decoding: result.errors, as: UTF8.self))")
  }
  return String(decoding: result.output, as: UTF8.self)
}

/// A program that runs beside the test, its output in a file.
final class Child: Sendable {
  let process: pid_t

  init(_ arguments: [String], output: String) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var cArguments: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    cArguments.append(nil)
    defer { for pointer in cArguments { free(pointer) } }
    var process: pid_t = 0
    let code = posix_spawnp(&process, arguments.first ?? "", &actions, nil, cArguments, environ)
    guard code == 0 else { throw Trouble("\(arguments): \(String(cString: strerror(code)))") }
    self.process = process
  }

  deinit { stop() }

  /// True once it has ended; its process stays until `stop`.
  var hasEnded: Bool {
    var info = siginfo_t()
    return waitid(P_PID, id_t(process), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_signo != 0
  }

  /// Ends it and all that it has started, and waits for it. Once is enough, more does no harm.
  func stop() {
    for descendant in descendants(of: process) { kill(descendant, SIGKILL) }
    guard !isReaped.exchange(true, ordering: .relaxed) else { return }
    kill(process, SIGKILL)
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
  }

  private let isReaped = Atomic<Bool>(false)
}

/// The processes that a process has started, and theirs, as they are now.
func descendants(of process: pid_t) -> [pid_t] {
  guard let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc") else { return [] }
  var children: [pid_t: [pid_t]] = [:]
  for name in names {
    // One that has ended meanwhile can't be read, and doesn't count.
    guard let child = pid_t(name), let bytes = try? Data(contentsOf: URL(filePath: "/proc/\(name)/stat"))
    else { continue }
    let fields = String(decoding: bytes, as: UTF8.self).split(separator: ")").last?.split(separator: " ")
    if let fields, fields.count > 1, let parent = pid_t(fields[1]) {
      children[parent, default: []].append(child)
    }
  }
  var found: [pid_t] = []
  var next = children[process] ?? []
  while let one = next.popLast() {
    found.append(one)
    next += children[one] ?? []
  }
  return found
}

/// Something that happens once, on whatever thread.
final class Flag: Sendable {
  private let value = Atomic<Bool>(false)
  var isSet: Bool { value.load(ordering: .sequentiallyConsistent) }
  func set() { value.store(true, ordering: .sequentiallyConsistent) }
}

/// Waits until something holds; an error after a time that is long on any machine.
func eventually(
  _ what: String, within limit: Duration = .seconds(40), _ condition: () async throws -> Bool
) async throws {
  let deadline = ContinuousClock.now + limit
  while try await !condition() {
    guard ContinuousClock.now < deadline else { throw Trouble("never: \(what)") }
    try await Task.sleep(for: .milliseconds(10))
  }
}
