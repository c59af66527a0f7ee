import FoundationEssentials
import Inventory
import RolloutModel
import Testing

/// Inventories in `Inventories/`, each with what ansible-core 2.19 made of it in `expected.txt`: a line a host, in
/// order, and a line a `--limit`.
@Suite("Inventories as Ansible reads them")
struct InventoryCorpusTests {
  static let folder = repositoryRoot + "Tests/FilesTests/Inventories"
  static var cases: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
  }

  private struct Expected {
    var inventory = ""
    var hosts: [String] = []
    var limits: [(pattern: String, hosts: [String])] = []

    init(_ path: String) throws {
      let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
      for line in text.split(separator: "\n").map(String.init) {
        if line.hasPrefix("inventory: ") {
          inventory = String(line.dropFirst("inventory: ".count))
        } else if line.hasPrefix("limit "), let equals = line.firstRange(of: " = ") {
          let pattern = String(line[..<equals.lowerBound].dropFirst("limit ".count))
          limits.append((pattern, line[equals.upperBound...].split(separator: " ").map(String.init)))
        } else {
          hosts.append(line)
        }
      }
    }
  }

  private static func line(_ host: Host) -> String {
    [
      host.name, host.address, host.port.map { "\($0)" } ?? "-", host.user ?? "-", host.identityFile ?? "-",
      host.domain ?? "-", host.groups.isEmpty ? "-" : host.groups.joined(separator: ","),
    ].joined(separator: " | ")
  }

  @Test("hosts, their order and their variables are Ansible's", arguments: try cases)
  func readsAsAnsible(name: String) async throws {
    let expected = try Expected("\(Self.folder)/\(name)/expected.txt")
    let hosts = try await Inventory.load(path: "\(Self.folder)/\(name)/\(expected.inventory)")
    #expect(!hosts.isEmpty)
    #expect(hosts.map(Self.line) == expected.hosts)
  }

  @Test("a limit chooses the hosts that Ansible chooses", arguments: try cases)
  func limitsAsAnsible(name: String) async throws {
    let expected = try Expected("\(Self.folder)/\(name)/expected.txt")
    for limit in expected.limits {
      let path = "\(Self.folder)/\(name)/\(expected.inventory)"
      if limit.hosts.isEmpty {
        await #expect(throws: (any Error).self, "\(limit.pattern)") {
          try await Inventory.load(path: path, limit: limit.pattern)
        }
      } else {
        let hosts = try await Inventory.load(path: path, limit: limit.pattern)
        #expect(hosts.map(\.name) == limit.hosts, "\(limit.pattern)")
      }
    }
  }
}
