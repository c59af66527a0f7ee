import RolloutModel

/// The rules of one agent in its table of our own, as text for `nft -f`.
///
/// - Only the first packet of a connection is matched: connections that exist when the chains appear, change or are
///   emptied keep the way they have.
/// - `fib daddr type local`: connections of local clients to the same port of other hosts are left alone.
/// - `dnat to :PORT` changes the port alone. Measured against `redirect`: that one also changes the address, to the
///   interface's first (to 127.0.0.1 and ::1 for local clients), so that a client of a secondary address reaches an agent
///   that is bound to that address no more.
/// - The `hold` chain is reached by nothing. Its rule needs connection tracking, and so keeps the kernel tracking after the
///   other chains were emptied: without it the flows that were translated earlier are reset at that moment, where no
///   other table tracks connections.
/// - Sockets that carry our mark are left alone on this host: so the host program can ask an adopted agent on the public
///   port whether it is well while a slot owns that port.
/// - The priority is a little before `dstnat`, where other programs' translations stand: the first one decides.
struct NftRuleset {
  static let priority = -105
  static let family = "inet"
  /// What sockets carry that are to pass the rules by ("SWYD").
  static let mark: UInt32 = 0x5357_5944

  let table: String
  let publicPort: Int

  init(_ setup: AgentSetup) {
    table = Self.table(of: setup.name)
    publicPort = setup.publicPort
  }

  /// An agent's table. Names of tables hold no hyphen in older versions of nft; `_` is not in agents' names.
  static func table(of agent: AgentName) -> String {
    "switchyard_" + agent.text.split(separator: "-", omittingEmptySubsequences: false).joined(separator: "_")
  }

  /// One transaction that makes `port` the one that new connections reach; nil: no rule at all. `anew` drops a table that
  /// others have changed first, within the same transaction.
  func transaction(to port: Int?, anew: Bool) -> String {
    var lines = ["add table \(family) \(table)"]
    if anew { lines += ["delete table \(family) \(table)", "add table \(family) \(table)"] }
    for hook in NftChain.hooks {
      lines.append(
        "add chain \(family) \(table) \(hook) { type nat hook \(hook) priority \(Self.priority); policy accept; }"
      )
    }
    lines.append("add chain \(family) \(table) \(NftChain.hold)")
    lines.append("flush table \(family) \(table)")
    lines.append("add rule \(family) \(table) \(NftChain.hold) ct state new")
    if let port {
      for hook in NftChain.hooks {
        let unmarked = hook == NftChain.output ? "meta mark != \(Self.mark) " : ""
        lines.append(
          "add rule \(family) \(table) \(hook) \(unmarked)tcp dport \(publicPort) "
            + "tcp flags & (fin|syn|rst|ack) == syn fib daddr type local dnat to :\(port)")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Removes the table, there or not.
  var removal: String { "add table \(family) \(table)\ndelete table \(family) \(table)\n" }

  private var family: String { Self.family }
}

/// The chains of our table.
enum NftChain {
  static let output = "output"
  static let hooks = ["prerouting", output]
  static let hold = "hold"
}
