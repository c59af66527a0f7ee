import Glibc
import RolloutModel

/// Who listens on TCP ports.
package enum Listeners {
  /// The listeners on these ports, by port, one for each process; a socket whose process can't be told counts with pid 0.
  package static func on(_ ports: [Int]) -> [PortOwner] {
    for _ in 0..<looks {
      let owners = look(ports)
      // Root sees every process: a socket that nobody holds is that of one which is just ending.
      guard geteuid() == 0, owners.contains(where: { $0.pid == 0 }) else { return owners }
      usleep(50_000)
    }
    return look(ports)
  }

  private static let looks = 10

  private static func look(_ ports: [Int]) -> [PortOwner] {
    let sockets = ListeningSockets.on(ports)
    guard !sockets.isEmpty else { return [] }
    let holders = holders(of: sockets.map(\.inode))
    var owners: [PortOwner] = []
    for socket in sockets {
      let pids = holders.filter { $0.inode == socket.inode }.map(\.pid)
      for pid in pids.isEmpty ? [0] : pids {
        let owner = describe(pid, socket.port)
        if !owners.contains(owner) { owners.append(owner) }
      }
    }
    return owners.sorted { ($0.port, $0.pid) < ($1.port, $1.pid) }
  }

  /// Whether a port has a listener, on whatever address.
  package static func isTaken(_ port: Int) -> Bool { !ListeningSockets.on([port]).isEmpty }

  private static func holders(of inodes: [String]) -> [(pid: Int, inode: String)] {
    let links = inodes.map { "socket:[\($0)]" }
    var found: [(pid: Int, inode: String)] = []
    for pid in numbers(in: "/proc") {
      for number in numbers(in: "/proc/\(pid)/fd") {
        guard let link = ProcFiles.link("/proc/\(pid)/fd/\(number)"), let place = links.firstIndex(of: link)
        else { continue }
        if !found.contains(where: { $0.pid == pid && $0.inode == inodes[place] }) {
          found.append((pid: pid, inode: inodes[place]))
        }
      }
    }
    return found
  }

  private static func numbers(in folder: String) -> [Int] {
    // A process that has ended, or is not ours to look at, has no descriptors that could be told.
    guard let open = try? FileTree.openFolder(folder), let names = try? FileTree.names(in: open) else {
      return []
    }
    return names.compactMap { Int($0) }
  }

  private static func describe(_ pid: Int, _ port: Int) -> PortOwner {
    guard pid > 0 else { return PortOwner(port: port, pid: 0, command: "", unit: "") }
    let command = (ProcFiles.text("/proc/\(pid)/comm", limit: 64) ?? "").prefix(while: { !$0.isNewline })
    return PortOwner(port: port, pid: pid, command: escapedForTerminal(command), unit: unit(of: pid))
  }

  /// The innermost service or scope of a process' control group.
  private static func unit(of pid: Int) -> String {
    let groups = ProcFiles.text("/proc/\(pid)/cgroup", limit: 16 * 1024) ?? ""
    for line in groups.split(separator: "\n") where line.hasPrefix("0::") || line.contains(":name=systemd:") {
      let parts = line.split(separator: "/")
      if let unit = parts.last(where: { $0.hasSuffix(".service") || $0.hasSuffix(".scope") }) {
        return escapedForTerminal(unit)
      }
    }
    return ""
  }
}
