import MarkedYAML
import RolloutModel

extension Shape where Value == [String] {
  /// A program and its arguments, as a list: nothing here goes through a shell.
  static func command(_ what: String, absolute: Bool) -> Shape {
    Shape<[String]>.list(of: Shape<String>.text("an argument", upTo: 4096), what, count: 1...64)
      .map { argv, node, diagnostics in
        guard let first = node.elements?.first else { return nil }
        guard Shape<String>.program("the program", absolute: absolute).read(first, diagnostics) != nil else {
          return nil
        }
        return argv
      }
  }
}

extension Shape where Value == [EnvironmentVariable] {
  /// Environment variables, sorted by name.
  static let environment = Shape(
    schema: .object(["type": .text("object"), "additionalProperties": .object(["type": .text("string")])])
  ) { node, diagnostics in
    guard let entries = node.entries else {
      diagnostics.report(node.place, "environment must be a mapping, not \(node.found)", "write NAME: VALUE")
      return nil
    }
    guard entries.count <= 256 else {
      diagnostics.report(node.place, "environment has \(entries.count) variables", "write at most 256")
      return nil
    }
    var variables: [EnvironmentVariable] = []
    for entry in entries {
      guard entry.key != "PORT" else {
        diagnostics.report(
          entry.keyPlace, "PORT is always set to the slot's port",
          "remove it; use {{ port }} in other variables")
        continue
      }
      guard Shape<String>.isVariableName(entry.key) else {
        diagnostics.report(
          entry.keyPlace, "\(quoted(entry.key)) is no variable's name",
          "use A-Z, a-z, 0-9 and \"_\", not beginning with a digit")
        continue
      }
      if case .scalar("", isPlain: false) = entry.value.content {
        variables.append(EnvironmentVariable(name: entry.key, value: ""))
      } else if let value = Shape<String>.template(entry.key, upTo: 8192).read(entry.value, diagnostics) {
        variables.append(EnvironmentVariable(name: entry.key, value: value))
      }
    }
    return variables.count == entries.count ? variables.sorted { $0.name < $1.name } : nil
  }
}

extension Shape where Value == TrafficDriver {
  /// A driver's name, or the mapping `{command: […]}`.
  static let traffic = Shape(schema: .object([:])) { node, diagnostics in
    let words = ["nftables", "none", "command"]
    switch node.content {
    case .scalar(let text, _):
      switch text {
      case "nftables": return .nftables
      case "none": return TrafficDriver.none
      case "command":
        diagnostics.report(
          node.place, "traffic: command names no command", "write {command: [/PROGRAM, ARGUMENT]}")
      case "haproxy", "nginx", "caddy":
        diagnostics.report(
          node.place, "the traffic driver \(text) is not available in this version",
          "use nftables, none or {command: [/PROGRAM]}")
      default:
        diagnostics.report(node.place, "traffic is \(node.found)", proposal(for: text, of: words))
      }
      return nil
    case .mapping(let entries):
      guard entries.count == 1, let entry = entries.first, entry.key == "command" else {
        let other = entries.first { $0.key != "command" }
        let isLater = ["haproxy", "nginx", "caddy"].contains(other?.key)
        diagnostics.report(
          other?.keyPlace ?? node.place,
          isLater
            ? "the traffic driver \(other?.key ?? "") is not available in this version"
            : "traffic takes no option \(quoted(other?.key ?? ""))",
          "write traffic: nftables, traffic: none or traffic: {command: [/PROGRAM]}")
        return nil
      }
      return Shape<[String]>.command("command", absolute: true).read(entry.value, diagnostics)
        .map(TrafficDriver.command)
    case .sequence:
      diagnostics.report(
        node.place, "traffic is a list", "write one of nftables, none or {command: [/PROGRAM]}")
      return nil
    }
  }
}
