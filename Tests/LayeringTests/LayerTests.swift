import Testing

@Suite("The layers")
struct LayerTests {
  private let manifest: Manifest
  private let sources: [SourceFile]

  /// Modules that come with the toolchain.
  private static let toolchain = [
    "CoreFoundation", "Dispatch", "FoundationEssentials", "Glibc", "Synchronization",
  ]

  init() throws {
    manifest = try Manifest.read.get()
    sources = try SourceFile.all.get()
  }

  @Test("Package.swift names the layers L0 to L7, and every folder of Sources has its place in them")
  func everyModuleHasALayer() throws {
    let layers = manifest.modules.map(\.layer)
    #expect(Set(layers) == Set(0...7))
    #expect(layers == layers.sorted(), "the manifest goes from the lowest layer up")
    #expect(try Repository.names(in: "Sources") == manifest.modules.map(\.name).sorted())
    #expect(manifest.modules.allSatisfy { $0.isC == ($0.layer == 0) })
  }

  @Test("A module stands on lower layers alone, never on a sibling")
  func dependenciesPointDown() {
    for module in manifest.modules {
      for dependency in module.dependencies.compactMap(manifest.module) {
        #expect(
          dependency.layer < module.layer,
          "\(module.name) is in L\(module.layer) and \(dependency.name) in L\(dependency.layer)")
      }
    }
  }

  @Test("What a module's files import is what Package.swift declares for it, no less and no more")
  func importsAreDeclared() {
    for module in manifest.modules where !module.isC {
      let files = sources.filter { $0.module == module.name }
      #expect(!files.isEmpty, "\(module.name) has no files")
      let imported = Set(files.flatMap(\.imports)).subtracting(Self.toolchain)
      let declared = Set(module.dependencies)
      for name in imported.subtracting(declared) {
        let file = files.first { $0.imports.contains(name) }
        Issue.record("\(file?.path ?? "") imports \(name), which \(module.name) does not declare")
      }
      for name in declared.subtracting(imported) {
        Issue.record("\(module.name) declares \(name), and no file of it imports that")
      }
    }
  }

  @Test("Only the adapters of C libraries import them")
  func cModulesAreWrapped() {
    let users = [
      "CCurl": ["Probes"],
      "CLinux": ["AgentService", "Commands", "EventLoop", "HostCore", "Inventory", "SSHTransport"],
      "CSSH2": ["SSHTransport"],
      "CYAML": ["MarkedYAML"],
      "CSystemd": ["SystemdBus"],
    ]
    #expect(Set(users.keys) == Set(manifest.modules.filter(\.isC).map(\.name)))
    for (library, wanted) in users {
      let found = Set(sources.filter { $0.imports.contains(library) }.map(\.module))
      #expect(found == Set(wanted), "\(library) is imported by \(found.sorted())")
    }
  }

  @Test("The host program is linked with no database, no YAML and no full Foundation")
  func hostProgramIsSmall() {
    let linked = manifest.closure(of: "switchyard-host")
    #expect(linked.contains("HostMachine"))
    let large = ["ArgumentParser", "Foundation", "FoundationNetworking", "GRDB", "CYAML"]
    for file in sources where linked.contains(file.module) {
      #expect(!file.imports.contains { large.contains($0) }, "\(file.path) imports \(file.imports)")
    }
    #expect(!linked.contains { large.contains($0) })
  }

  @Test("No module imports full Foundation, which would make the program four times as large")
  func foundationEssentialsSuffice() {
    for file in sources {
      #expect(!file.imports.contains("Foundation"), "\(file.path)")
      #expect(!file.imports.contains("FoundationNetworking"), "\(file.path)")
    }
  }

  @Test("Each module's README names its layer, and what it may import as Package.swift has it")
  func readmesAgree() throws {
    for module in manifest.modules {
      let path = "Sources/\(module.name)/README.md"
      guard Repository.has(path) else {
        Issue.record("\(path) is missing")
        continue
      }
      let lines = try Repository.text(path).split(separator: "\n")
      #expect(lines.first.map { String($0) } == "# \(module.name) (L\(module.layer))", "\(path)")
      let head = "May import: "
      let line = lines.first { $0.hasPrefix(head) }
      let wanted =
        module.dependencies.isEmpty ? "nothing" : module.dependencies.sorted().joined(separator: ", ")
      #expect(line.map { String($0) } == head + wanted + ".", "\(path)")
    }
  }
}
