import MarkedYAML
import RolloutModel

/// Where an agent runs on a host and how traffic reaches it.
struct PlacementFields: Sendable {
  /// What was read.
  struct Values {
    var slots: SlotPorts
    var publicPort: Int
    var traffic: TrafficDriver
    var drain: Span
    var concurrent: Bool
    var unit: String?
    var adopt: Adoption?
  }

  let slots = Field("slots", "{blue: PORT, green: PORT}, the alternate RPC ports", .slots)
  let publicPort = Field("public_port", "the port where clients connect", .port("public_port"))
  let traffic = Field(
    "traffic", "nftables, none or {command: [/PROGRAM]}", .traffic, otherwise: Defaults.traffic)
  let drain = Field(
    "drain", "how long existing connections may stay on the side that lost traffic",
    .span("drain", .zero...Limits.drain), default: Defaults.drain)
  let concurrent = Field(
    "concurrent", "whether old and new can run at once", .flag, default: Defaults.concurrent)
  let unit: Field<String?>
  let adopt = Field<Adoption?>.optional("adopt", "an agent installed by other means", .adoption)

  init(folder: String) {
    unit = .optional(
      "unit", "the unit to render per slot, a path relative to this file", .unitText(folder: folder))
  }

  var descriptions: [FieldDescription] {
    [
      slots.description, publicPort.description, traffic.description, drain.description,
      concurrent.description,
      unit.description, adopt.description,
    ]
  }

  /// Nil where a problem was reported.
  func read(_ record: RecordReader, agent: AgentName?) -> Values? {
    let slots = record.read(slots)
    let publicPort = record.read(publicPort)
    let traffic = record.read(traffic)
    let drain = record.read(drain)
    let concurrent = record.read(concurrent)
    let unit = record.read(unit)
    let adopt = record.read(adopt)
    if let slots, let publicPort { Self.checkPorts(slots, publicPort, record) }
    if let slots, let adopt, let adopt { Self.checkAdoption(adopt, slots, agent, record) }
    guard let slots, let publicPort, let traffic, let drain, let concurrent, let unit, let adopt else {
      return nil
    }
    return Values(
      slots: slots, publicPort: publicPort, traffic: traffic, drain: drain, concurrent: concurrent,
      unit: unit,
      adopt: adopt)
  }

  private static func checkPorts(_ slots: SlotPorts, _ publicPort: Int, _ record: RecordReader) {
    for slot in Slot.allCases where slots[slot] == publicPort {
      record.report(
        "public_port", "public_port \(publicPort) is the \(slot.rawValue) slot's port too",
        "give it a port of its own")
    }
  }

  private static func checkAdoption(
    _ adopt: Adoption, _ slots: SlotPorts, _ agent: AgentName?, _ record: RecordReader
  ) {
    let node = record.entry("adopt")?.value
    for slot in Slot.allCases {
      if slots[slot] == adopt.port {
        record.diagnostics.report(
          node?["port"]?.place ?? record.place,
          "the adopted agent listens on the \(slot.rawValue) slot's port \(adopt.port)",
          "give the slot another port")
      }
      if let agent, agent.unit(slot) == adopt.unit {
        record.diagnostics.report(
          node?["unit"]?.place ?? record.place, "\(adopt.unit) is the \(slot.rawValue) slot's own unit",
          "name the unit of the agent that was installed by other means")
      }
    }
  }
}

extension Shape where Value == SlotPorts {
  /// The two ports.
  static var slots: Shape {
    let blue = Field("blue", "the blue slot's port", .port("blue"))
    let green = Field("green", "the green slot's port", .port("green"))
    return .record("slots", [blue.description, green.description]) { record in
      let blue = record.read(blue)
      let green = record.read(green)
      guard let blue, let green else { return nil }
      guard blue != green else {
        record.report(
          "green", "blue and green have the same port \(green)", "give each slot a port of its own")
        return nil
      }
      return SlotPorts(blue: blue, green: green)
    }
  }
}

extension Shape where Value == Adoption {
  /// The unit and the port of an agent that was there before.
  static var adoption: Shape {
    let unit = Field("unit", "the unit's name, NAME.service", .serviceUnit)
    let port = Field("port", "the port on which it listens", .port("port"))
    return .record("adopt", [unit.description, port.description]) { record in
      let unit = record.read(unit)
      let port = record.read(port)
      guard let unit, let port else { return nil }
      return Adoption(unit: unit, port: port)
    }
  }
}

extension Shape where Value == String {
  /// The text of the unit file at a path.
  static func unitText(folder: String) -> Shape {
    Shape<String>.text("unit", upTo: 1024).map { path, node, diagnostics in
      do throws(FileProblems) {
        let file = path.hasPrefix("/") ? path : folder + path
        let text = try SourceText(BoundedFile.read(path: file), file: file)
        let limit = AgentDefinition.longestUnit
        guard text.string.utf8.count <= limit else {
          diagnostics.report(
            node.place, "the unit \(quoted(path)) is longer than \(limit / 1024) KiB, which no host takes",
            "name a service unit's file")
          return nil
        }
        guard text.lines.contains("[Service]") else {
          diagnostics.report(
            node.place, "the unit \(quoted(path)) has no [Service] section", "name a service unit's file")
          return nil
        }
        return text.string
      } catch {
        for problem in error.problems {
          diagnostics.report(node.place, "the unit \(quoted(path)): \(problem.what)", problem.instead)
        }
        return nil
      }
    }
  }
}
