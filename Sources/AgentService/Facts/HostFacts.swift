import FoundationEssentials
import Glibc
import MarkedYAML
import RolloutModel

/// What the host says of itself. Blocks: it reads small files of the kernel.
struct HostFacts: Sendable {
  let slot: String
  let version: String

  /// All of it; what can't be learned is null.
  func read() -> JSON {
    let system = Self.system()
    return [
      "hostname": .text(system.node),
      "kernel": .text(system.release),
      "architecture": .text(system.machine),
      "cores": .number(Int64(sysconf(Int32(_SC_NPROCESSORS_ONLN)))),
      "memory": Self.memory(Self.file("/proc/meminfo")),
      "disk": Self.disk("/"),
      "load": Self.load(Self.file("/proc/loadavg")),
      "uptime_seconds": Self.uptime(Self.file("/proc/uptime")),
      "boot_id": Self.line(Self.file("/proc/sys/kernel/random/boot_id")),
      "os": .text(
        Self.name(Self.file("/etc/os-release")) ?? Self.name(Self.file("/usr/lib/os-release")) ?? ""),
      "agent": ["version": .text(version), "slot": .text(slot)],
    ]
  }

  static func memory(_ text: String) -> JSON {
    func bytes(_ key: String) -> JSON {
      for line in text.split(separator: "\n") where line.hasPrefix("\(key):") {
        let fields = line.split(separator: " ")
        guard fields.count >= 2, let kibibytes = Int64(fields[1]), (0...(1 << 50)).contains(kibibytes) else {
          return .null
        }
        return .number(kibibytes * 1024)
      }
      return .null
    }
    return ["total_bytes": bytes("MemTotal"), "available_bytes": bytes("MemAvailable")]
  }

  static func load(_ text: String) -> JSON {
    let numbers = text.split(separator: " ").prefix(3).compactMap { Double($0) }.filter(\.isFinite)
    return numbers.count == 3 ? .list(numbers.map { .decimal($0) }) : .null
  }

  static func uptime(_ text: String) -> JSON {
    guard let seconds = text.split(separator: ".").first.flatMap({ Int64($0) }) else { return .null }
    return .number(seconds)
  }

  /// `PRETTY_NAME` of an os-release; nil where it has none.
  static func name(_ text: String) -> String? {
    for line in text.split(separator: "\n") where line.hasPrefix("PRETTY_NAME=") {
      return line.dropFirst("PRETTY_NAME=".count).filter { $0 != "\"" && $0 != "'" }
    }
    return nil
  }

  private static func line(_ text: String) -> JSON {
    text.isEmpty ? .null : .text(text.filter { !$0.isWhitespace })
  }

  private static func disk(_ path: String) -> JSON {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return .null }
    func bytes(_ blocks: fsblkcnt_t) -> JSON {
      let (product, over) = UInt64(blocks).multipliedReportingOverflow(by: UInt64(status.f_frsize))
      return over ? .null : Int64(exactly: product).map { .number($0) } ?? .null
    }
    return ["path": .text(path), "total_bytes": bytes(status.f_blocks), "free_bytes": bytes(status.f_bavail)]
  }

  private static func system() -> (node: String, release: String, machine: String) {
    var name = utsname()
    guard uname(&name) == 0 else { return ("", "", "") }
    return (text(of: name.nodename), text(of: name.release), text(of: name.machine))
  }

  private static func text<Characters>(of field: Characters) -> String {
    withUnsafeBytes(of: field) { String(decoding: $0.prefix(while: { $0 != 0 }), as: UTF8.self) }
  }

  /// A file's text, within the bound of files that persons write; empty where it can't be read.
  private static func file(_ path: String) -> String {
    // What is missing is null in the answer.
    guard let bytes = try? BoundedFile.read(path: path) else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }
}
