import MarkedYAML
import RolloutModel

/// Reads agent files.
public enum AgentFile {
  /// The agent in a file; a unit that it names is read too. For a plan, the playbook that it names must be there, and there must
  /// be a strategy for it. Errors: everything that is wrong, each with its place.
  public static func load(path: String, forPlan: Bool = false) throws(FileProblems) -> AgentDefinition {
    try parse(BoundedFile.read(path: path), name: path, forPlan: forPlan)
  }

  /// The agent in a text; errors call it `name`, and a unit's path begins at that name's folder.
  public static func parse(text: String, name: String) throws(FileProblems) -> AgentDefinition {
    try parse(Array(text.utf8), name: name)
  }

  /// The agent in a file's bytes; errors call the file `name`, and a unit's path begins at that name's folder.
  public static func parse(_ bytes: [UInt8], name: String) throws(FileProblems) -> AgentDefinition {
    try parse(bytes, name: name, forPlan: false)
  }

  private static func parse(
    _ bytes: [UInt8], name: String, forPlan: Bool
  ) throws(FileProblems) -> AgentDefinition {
    let node = try MarkedYAML.parse(bytes, file: name)
    let diagnostics = Diagnostics(file: name)
    let playbooks = PlaybookPaths(folder: folder(of: name), mustExist: forPlan)
    let agent = Shape<AgentDefinition>.agent(playbooks, forPlan: forPlan).read(node, diagnostics)
    try diagnostics.throwIfAny()
    guard let agent else {
      throw FileProblems(file: name, what: "the file is no agent file", instead: "begin it with agent: NAME")
    }
    return agent
  }
}

extension Shape where Value == AgentDefinition {
  /// A whole agent file; a unit's path begins where a playbook's does.
  static func agent(_ playbooks: PlaybookPaths, forPlan: Bool = false) -> Shape {
    let folder = playbooks.folder
    let program = ProgramFields()
    let run = RunFields()
    let place = PlacementFields(folder: folder)
    let checks = CheckFields()
    let door = DoorFields(folder: folder)
    let floor = Field<Version?>.optional("floor", "the lowest version that may be brought to a host", .floor)
    let prepare = PrepareField(playbooks)
    return .record(
      "an agent file",
      program.descriptions + run.descriptions + place.descriptions + checks.descriptions
        + door.descriptions + [floor.description] + prepare.descriptions
    ) { record in
      let program = program.read(record)
      let run = run.read(record, agent: program?.name)
      let place = place.read(record, agent: program?.name)
      if forPlan, place?.concurrent == false {
        record.report(
          "concurrent",
          "concurrent: false is not possible yet: old and new run side by side in every strategy there is",
          "write true if they can run at once on two ports, or upgrade this agent by other means")
      }
      let checks = checks.read(record)
      let door = door.read(record, publicPort: place?.publicPort, dependencies: checks?.dependencies ?? [])
      let floor = record.read(floor)
      let prepare = prepare.read(record)
      guard let program, let run, let place, let checks, let door, let floor, let prepare else { return nil }
      var agent = AgentDefinition(
        name: program.name, user: program.user, strip: program.strip, exec: run.exec, args: program.args,
        environment: program.environment, slots: place.slots, publicPort: place.publicPort,
        traffic: place.traffic,
        drain: place.drain, concurrent: place.concurrent, unitTemplate: place.unit, adopt: place.adopt,
        health: checks.health,
        dependencies: (run.container == nil ? [] : ContainerDefinition.dependencies) + checks.dependencies,
        rpc: door, container: run.container, floor: floor)
      agent.prepare = prepare
      return agent
    }
  }
}

extension Shape where Value == Version {
  /// A version that others can be compared with.
  static var floor: Shape {
    Shape<String>.text("floor", upTo: 64).map { text, node, diagnostics in
      guard let version = Version(text), version.number != nil else {
        diagnostics.report(
          node.place, "floor is \(quoted(text)), no version that others can be compared with",
          "write one that begins with a number, as 1.4.2")
        return nil
      }
      return version
    }
  }
}

/// What runs.
private struct ProgramFields: Sendable {
  let name = Field("agent", "the agent's name", .agentName)
  let user = Field("user", "the user that the units run as", .user)
  let strip = Field(
    "strip", "leading folders of the archive to drop", .integer("strip", 0...16), default: Defaults.strip)
  let args = Field(
    "args", "the program's arguments",
    Shape<[String]>.list(of: .template("an argument", upTo: 4096), "args", count: 0...256),
    otherwise: [])
  let environment = Field("environment", "variables of both slots", .environment, otherwise: [])

  var descriptions: [FieldDescription] {
    [
      name.description, user.description, strip.description, args.description,
      environment.description,
    ]
  }

  func read(
    _ record: RecordReader
  ) -> (
    name: AgentName, user: String, strip: Int, args: [String], environment: [EnvironmentVariable]
  )? {
    let name = record.read(name)
    let user = record.read(user)
    let strip = record.read(strip)
    let args = record.read(args)
    let environment = record.read(environment)
    guard let name, let user, let strip, let args, let environment else { return nil }
    return (name, user, strip, args, environment)
  }
}

/// What says whether it works.
private struct CheckFields: Sendable {
  let health = Field(
    "health", "the default gate's probes", Shape<[ProbeDefinition]>.list(of: .probe, "health", count: 1...16))
  let dependencies = Field(
    "dependencies", "what is checked on the host before anything is changed",
    Shape<[Dependency]>.list(of: .dependency, "dependencies", count: 0...64), otherwise: [])

  var descriptions: [FieldDescription] { [health.description, dependencies.description] }

  func read(_ record: RecordReader) -> (health: [ProbeDefinition], dependencies: [Dependency])? {
    let health = record.read(health)
    let dependencies = record.read(dependencies)
    guard let health, let dependencies else { return nil }
    return (health, dependencies)
  }
}
