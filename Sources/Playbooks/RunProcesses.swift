import FoundationEssentials
import Glibc

/// The processes of a run. Ansible's leave their parent's group and session, and ssh's masters outlive all others: what they
/// have in common is the run's folder in their environment or arguments.
struct RunProcesses {
  private let mark: [UInt8]

  init(of folder: String) { mark = Array(folder.utf8) }

  /// Ends them all, at once. Those that are started meanwhile, too.
  func end() {
    for _ in 0..<20 {
      let found = numbers()
      if found.isEmpty { return }
      for process in found { kill(process, SIGKILL) }
      usleep(10_000)
    }
  }

  /// Those that run now; this process is none of them.
  func numbers() -> [pid_t] {
    // A folder that can't be listed has no processes: that of a system without /proc.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { pid_t($0) }.filter { $0 != getpid() && isMarked($0) }
  }

  private func isMarked(_ process: pid_t) -> Bool {
    ["environ", "cmdline"].contains { name in
      let file = open("/proc/\(process)/\(name)", O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { return false }
      defer { close(file) }
      var bytes = [UInt8](repeating: 0, count: 1 << 17)
      let count = read(file, &bytes, bytes.count)
      return count > 0 && bytes[..<count].firstRange(of: mark) != nil
    }
  }
}
