import FoundationEssentials
import RolloutModel

/// What `nft -j list table` shows of our table, read strictly: whatever we would not have set is told.
struct NftListing {
  /// The port that each hook's rule sends new connections to; nil where the chain is empty.
  private(set) var ports: [String: Int] = [:]
  /// What is not as we set it, in the listing's order.
  private(set) var oddities: [String] = []
  private var chains: [String] = []
  private var holds = false
  private let ruleset: NftRuleset

  init(_ json: [UInt8], of ruleset: NftRuleset) throws(HostFailure) {
    self.ruleset = ruleset
    let document: JSONTree
    do {
      document = try JSONDecoder().decode(JSONTree.self, from: Data(json))
    } catch {
      throw HostFailure(.trafficFailed, "nft -j list table \(ruleset.table) printed no JSON")
    }
    guard let items = document["nftables"]?.array else {
      throw HostFailure(.trafficFailed, "nft -j list table \(ruleset.table) printed JSON without nftables")
    }
    for item in items { read(item) }
    for hook in NftChain.hooks + [NftChain.hold] where !chains.contains(hook) {
      oddities.append("the chain \(hook) is missing")
    }
    if chains.contains(NftChain.hold) && !holds { oddities.append("the rule of the chain hold is missing") }
    let first = ports[NftChain.hooks[0]]
    if NftChain.hooks.contains(where: { ports[$0] != first }) {
      oddities.append(
        "new connections go to "
          + NftChain.hooks.map { "\(ports[$0].map { "port \($0)" } ?? "no slot") in \($0)" }
          .joined(separator: " and to "))
    }
  }

  /// The port that new connections from elsewhere reach; nil where no rule is in force for them.
  var port: Int? { ports[NftChain.hooks[0]] }

  private mutating func read(_ item: JSONTree) {
    if item["metainfo"] != nil { return }
    if let table = item["table"] {
      // A dormant table is listed with all of its rules and does nothing.
      if table["flags"] != nil {
        oddities.append("the table has flags: \(table["flags"].map(text(of:)) ?? "")")
      }
    } else if let chain = item["chain"] {
      read(chain: chain)
    } else if let rule = item["rule"] {
      read(rule: rule)
    } else {
      oddities.append("it holds something foreign: \(text(of: item))")
    }
  }

  private mutating func read(chain: JSONTree) {
    let name = chain["name"]?.string ?? ""
    if name == NftChain.hold {
      if chain["hook"] != nil { oddities.append("the chain hold has a hook") }
    } else if NftChain.hooks.contains(name) {
      let isOurs =
        chain["type"]?.string == "nat" && chain["hook"]?.string == name
        && chain["prio"]?.number == Double(NftRuleset.priority) && chain["policy"]?.string == "accept"
      if !isOurs { oddities.append("the chain \(name) is not as it was set") }
    } else {
      oddities.append("it has a foreign chain \(escapedForTerminal(name, limit: 60))")
    }
    chains.append(name)
  }

  private mutating func read(rule: JSONTree) {
    let chain = rule["chain"]?.string ?? ""
    let statements = rule["expr"]?.array ?? []
    if chain == NftChain.hold, !holds, Self.isHold(statements) {
      holds = true
    } else if NftChain.hooks.contains(chain), ports[chain] == nil, let port = port(of: statements, in: chain)
    {
      ports[chain] = port
    } else {
      oddities.append(
        "the chain \(escapedForTerminal(chain, limit: 60)) has a rule that is not as it was set: \(text(of: .array(statements)))"
      )
    }
  }

  /// The port of a rule that is exactly ours; nil for any other.
  private func port(of statements: [JSONTree], in chain: String) -> Int? {
    var statements = statements[...]
    if chain == NftChain.output {
      guard statements.popFirst() == Self.isUnmarked else { return nil }
    }
    return port(of: Array(statements))
  }

  private func port(of statements: [JSONTree]) -> Int? {
    guard statements.count == 4,
      statements[0] == Self.match(Self.payload("dport"), .number(Double(ruleset.publicPort))),
      Self.isFirstPacket(statements[1]["match"]),
      Self.isForThisHost(statements[2]["match"]),
      case .object(let translation) = statements[3]["dnat"], translation.count == 1,
      let port = translation["port"]?.number.flatMap({ Int(exactly: $0) })
    else { return nil }
    return port
  }

  private static let isUnmarked = JSONTree.object([
    "match": .object([
      "op": .string("!="), "left": .object(["meta": .object(["key": .string("mark")])]),
      "right": .number(Double(NftRuleset.mark)),
    ])
  ])

  private static func isHold(_ statements: [JSONTree]) -> Bool {
    guard statements.count == 1, let match = statements[0]["match"] else { return false }
    return match["left"] == .object(["ct": .object(["key": .string("state")])])
      && match["right"].flatMap(words(_:)) == ["new"]
  }

  private static func payload(_ field: String) -> JSONTree {
    .object(["payload": .object(["protocol": .string("tcp"), "field": .string(field)])])
  }

  private static func match(_ left: JSONTree, _ right: JSONTree) -> JSONTree {
    .object(["match": .object(["op": .string("=="), "left": left, "right": right])])
  }

  private static func isForThisHost(_ match: JSONTree?) -> Bool {
    guard let match, match["op"]?.string == "==", match["right"]?.string == "local",
      let fib = match["left"]?["fib"]
    else { return false }
    return fib["result"]?.string == "type" && fib["flags"].flatMap(words(_:)) == ["daddr"]
  }

  /// Versions of nft write the set of flags as an array or as nested `|`.
  private static func isFirstPacket(_ match: JSONTree?) -> Bool {
    guard let match, match["op"]?.string == "==", let mask = match["left"]?["&"]?.array, mask.count == 2,
      mask[0] == payload("flags"), let flags = words(mask[1]), let set = match["right"].flatMap(words(_:))
    else { return false }
    return flags.sorted() == ["ack", "fin", "rst", "syn"] && set == ["syn"]
  }

  private static func words(_ tree: JSONTree) -> [String]? {
    if let word = tree.string { return [word] }
    guard let parts = tree.array ?? tree["|"]?.array, parts.count <= 8 else { return nil }
    var all: [String] = []
    for part in parts {
      guard let more = words(part) else { return nil }
      all += more
    }
    return all
  }

  private func text(of tree: JSONTree) -> String {
    // What can't be written as JSON again could not have been read as it either.
    guard let bytes = try? canonicalJSON(tree) else { return "" }
    return escapedForTerminal(String(decoding: bytes, as: UTF8.self), limit: 160)
  }
}
