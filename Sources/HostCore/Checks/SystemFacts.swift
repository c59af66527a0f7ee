import Glibc
import RolloutModel

/// What the system says of itself; nothing is written to learn it.
package enum SystemFacts {
  /// The kernel's name of the machine (`x86_64`) and its release.
  package static func kernel() -> (architecture: String, release: String) {
    var name = utsname()
    guard uname(&name) == 0 else { return ("", "") }
    return (text(of: name.machine), text(of: name.release))
  }

  /// `PRETTY_NAME` of os-release, escaped for a terminal; empty where there is none.
  package static func systemName() -> String {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
      for line in (ProcFiles.text(path, limit: 64 * 1024) ?? "").split(separator: "\n")
      where line.hasPrefix("PRETTY_NAME=") {
        let value = line.dropFirst("PRETTY_NAME=".count).filter { $0 != "\"" && $0 != "'" }
        return escapedForTerminal(value, limit: 100)
      }
    }
    return ""
  }

  /// The host's boot, as its first process sees it: in a container that is a mount on /proc/sys, which the sandbox of a unit
  /// may hide. Who may not look there has no sandbox of ours around it.
  package static func bootID() throws(HostFailure) -> String {
    let path = "/proc/sys/kernel/random/boot_id"
    let found = ProcFiles.text("/proc/1/root\(path)", limit: 64) ?? ProcFiles.text(path, limit: 64)
    let text = (found ?? "").filter { !$0.isWhitespace }
    guard text.utf8.count == 36 else { throw HostFailure(.system, "\(path) holds no boot ID") }
    return text
  }

  /// Bytes that are free to root's programs at a path.
  package static func diskFree(at path: String) throws(HostFailure) -> Int64 {
    try FileTree.free(at: try FileTree.openFolder(path))
  }

  /// Bytes of memory that are available without swapping.
  package static func memoryAvailable() throws(HostFailure) -> Int64 {
    for line in (ProcFiles.text("/proc/meminfo", limit: 16 * 1024) ?? "").split(separator: "\n")
    where line.hasPrefix("MemAvailable:") {
      let fields = line.split(separator: " ")
      if fields.count >= 2, let kibibytes = Int64(fields[1]), kibibytes >= 0 {
        let (bytes, over) = kibibytes.multipliedReportingOverflow(by: 1024)
        return over ? Int64.max : bytes
      }
    }
    throw HostFailure(.system, "/proc/meminfo has no MemAvailable")
  }

  /// Whether a user of this name, or of this number, exists.
  package static func userExists(_ user: String) -> Bool { self.user(user) != nil }

  /// The number of a user of this name, or of this number, and of its group; nil where there is none.
  static func user(_ user: String) -> (id: UInt32, group: UInt32)? {
    var entry = passwd()
    var result: UnsafeMutablePointer<passwd>?
    var size = 4096
    while size <= 1 << 20 {
      var buffer = [CChar](repeating: 0, count: size)
      let error =
        if let number = uid_t(user) {
          getpwuid_r(number, &entry, &buffer, buffer.count, &result)
        } else {
          getpwnam_r(user, &entry, &buffer, buffer.count, &result)
        }
      if error != ERANGE { return error == 0 && result != nil ? (entry.pw_uid, entry.pw_gid) : nil }
      size *= 4
    }
    return nil
  }

  private static func text<Characters>(of field: Characters) -> String {
    withUnsafeBytes(of: field) {
      escapedForTerminal(String(decoding: $0.prefix(while: { $0 != 0 }), as: UTF8.self))
    }
  }
}
