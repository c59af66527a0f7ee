import FoundationEssentials
import MarkedYAML
import Testing

@testable import Commands

/// A task of the shipped playbooks.
private struct ShippedTask {
  var place: String
  var name: String
  /// The module's arguments, by its name: what remains of a task once its keywords are taken away.
  var modules: [String: MarkedNode]
  var changedWhen: String?

  var saysNothingWasChanged: Bool {
    modules.values.contains { arguments in
      ["fail_msg", "msg"].contains { arguments[$0]?.text?.contains("Nothing was changed") == true }
    }
  }

  /// Whether it can only look.
  var onlyLooks: Bool {
    changedWhen == "false"
      || modules.keys.allSatisfy {
        ["assert", "setup", "stat", "include_role"].map { "ansible.builtin.\($0)" }.contains($0)
      }
  }
}

/// The tasks that a service's playbook comes to: those of the role that it imports, and of the roles that this one includes.
private struct ShippedTasks {
  static let folder = String(
    #filePath.dropLast("Tests/CommandsTests/RenderingTests/ServiceTaskTests.swift".count) + "playbooks/")

  private(set) var all: [ShippedTask] = []
  private var roles: Set<String> = []

  init(_ playbook: String) throws {
    for play in try Self.elements(playbook) {
      for task in play["tasks"]?.elements ?? [] { try take(task, file: playbook) }
    }
  }

  private static func elements(_ file: String) throws -> [MarkedNode] {
    let bytes = Array(try Data(contentsOf: URL(filePath: folder + file)))
    return try #require(try MarkedYAML.parse(bytes, file: file).elements, "\(file) is no list")
  }

  private mutating func take(_ node: MarkedNode, file: String) throws {
    let entries = node.entries ?? []
    let modules = entries.filter { $0.key.hasPrefix("ansible.") }
    all.append(
      ShippedTask(
        place: "\(file):\(node.place.line)", name: node["name"]?.text ?? "",
        modules: Dictionary(modules.map { ($0.key, $0.value) }) { first, _ in first },
        changedWhen: node["changed_when"]?.text))
    for key in ["block", "rescue", "always"] {
      for inner in node[key]?.elements ?? [] { try take(inner, file: file) }
    }
    for module in modules where module.key.hasSuffix("_role") {
      guard let role = module.value["name"]?.text, roles.insert(role).inserted else { continue }
      let tasks = "roles/\(role)/tasks/"
      for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder + tasks).sorted() {
        for task in try Self.elements(tasks + name) { try take(task, file: tasks + name) }
      }
    }
  }
}

@Suite(
  "How a service was left is told by the names of the playbooks' tasks",
  .enabled(if: FileManager.default.fileExists(atPath: ShippedTasks.folder)))
struct ServiceTaskTests {
  private static func tasks(_ service: DeployedService) throws -> [ShippedTask] {
    try ShippedTasks(service.playbook).all
  }

  @Test("A task that says that nothing was changed counts as such", arguments: DeployedService.allCases)
  func refusals(service: DeployedService) throws {
    let found = try Self.tasks(service).filter(\.saysNothingWasChanged)
    #expect(found.count >= 5)
    for task in found {
      #expect(ServiceTask.refuses(task.name), "\(task.place): \(task.name) is not in ServiceTask.refusing")
    }
  }

  @Test("A task that counts as changing nothing changes nothing", arguments: DeployedService.allCases)
  func looks(service: DeployedService) throws {
    let names = ServiceTask.refusing.union([ServiceTask.seeing])
    for task in try Self.tasks(service) where names.contains(task.name) {
      #expect(task.onlyLooks, "\(task.place): \(task.name)")
    }
  }

  @Test("Each name is that of a task")
  func names() throws {
    let names = Set(try DeployedService.allCases.flatMap(Self.tasks).map(\.name))
    for name in ServiceTask.refusing.union([ServiceTask.seeing, ServiceTask.restored]) {
      #expect(names.contains(name), "no task is called \(name)")
    }
  }
}
