import Testing

/// What Package.swift says about the modules.
struct Manifest: Sendable {
  /// One module.
  struct Module: Sendable {
    var name: String
    /// The number in the comment above it.
    var layer: Int
    /// Modules of the project and products of packages, by the names that they are imported under.
    var dependencies: [String]
    /// Whether it is a C library's module map.
    var isC: Bool
  }

  /// In the manifest's order.
  let modules: [Module]

  static let read: Result<Manifest, any Error> = Result { try Manifest(try Repository.text("Package.swift")) }

  /// Reads the lines between `targets: [` and the tests.
  init(_ text: String) throws {
    let products = Self.products(text)
    let start = try #require(text.firstRange(of: "targets: ["), "Package.swift lists no targets")
    let end = try #require(
      text.firstRange(of: "// Tests"), "Package.swift does not say where its tests begin")
    var modules: [Module] = []
    var layer = -1
    let entry =
      /\/\/ L(?<layer>\d): |\.systemLibrary\(\s*name: "(?<library>\w+)"|(?:module\(\s*|\.executableTarget\(\s*name: )"(?<name>[\w-]+)"(?:,\s*(?:dependencies: )?\[(?<list>[^\]]*)\])?/
    for match in text[start.upperBound..<end.lowerBound].matches(of: entry) {
      if let number = match.layer {
        layer = Int(number) ?? -1
      } else if let library = match.library {
        modules.append(Module(name: String(library), layer: layer, dependencies: [], isC: true))
      } else if let name = match.name {
        let dependencies = (match.list ?? "").split(separator: ",").map { word in
          let word = word.filter { !$0.isWhitespace }
          return word.hasPrefix("\"") ? word.filter { $0 != "\"" } : products[word] ?? word
        }
        modules.append(
          Module(
            name: String(name), layer: layer, dependencies: dependencies.filter { !$0.isEmpty }, isC: false))
      }
    }
    self.modules = modules
  }

  /// `let crypto = Target.Dependency.product(name: "Crypto", …`: the product's name by the constant's.
  private static func products(_ text: String) -> [String: String] {
    let pattern = /let (\w+) = Target\.Dependency\.product\(\s*name: "(\w+)"/
    var products: [String: String] = [:]
    for match in text.matches(of: pattern) { products[String(match.1)] = String(match.2) }
    return products
  }

  /// A module by its name; nil for a package's product.
  func module(_ name: String) -> Module? { modules.first { $0.name == name } }

  /// A module with all that it stands on, modules and products.
  func closure(of name: String) -> [String] {
    var found = [name]
    var next = 0
    while next < found.count {
      for dependency in module(found[next])?.dependencies ?? [] where !found.contains(dependency) {
        found.append(dependency)
      }
      next += 1
    }
    return found
  }
}
