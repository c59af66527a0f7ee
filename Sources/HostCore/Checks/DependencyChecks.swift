import Glibc
import RolloutModel

/// Checks what an agent needs on its host. Writes nothing; every dependency is asked, whatever the ones before it said.
package struct DependencyChecks {
  /// The most that one dependency may take, so that one that hangs leaves time for the others.
  private static let each = Span.seconds(20)

  private let deadline: Deadline
  private let releaseDisk: String

  /// Checks that are done by the deadline; `releaseDisk` is a folder on the file system where releases are stored.
  package init(deadline: Span, releaseDisk: String) {
    self.deadline = Deadline(in: deadline)
    self.releaseDisk = releaseDisk
  }

  /// One result per dependency, in order.
  package func run(_ dependencies: [Dependency]) -> [DependencyResult] {
    dependencies.map { DependencyResult(dependency: escapedForTerminal($0.title), failure: failure(of: $0)) }
  }

  private func failure(of dependency: Dependency) -> String? {
    guard !deadline.passed else { return "not checked: the time for all checks was over" }
    do throws(HostFailure) {
      switch dependency {
      case .command(let argv, let version): return try commandFailure(argv, version)
      case .diskFree(let bytes):
        return shortage("on the disk of \(releaseDisk)", try SystemFacts.diskFree(at: releaseDisk), bytes)
      case .memoryFree(let bytes): return shortage("of memory", try SystemFacts.memoryAvailable(), bytes)
      case .portFree(let port): return portFailure(port)
      case .tcp(let host, let port):
        return LocalAnswer.tcpFailure(host: host, port: port, deadline: share)
      case .http: return "not checked on the host: HTTP is asked by the controller"
      case .file(let path): return fileFailure(path)
      case .pythonModule(let name, let interpreter, let version):
        return try pythonFailure(name, interpreter, version)
      }
    } catch { return error.message + (error.hint.isEmpty ? "" : "; \(error.hint)") }
  }

  private var share: Span { min(deadline.remaining, Self.each) }

  private func commandFailure(_ argv: [String], _ version: VersionBound?) throws(HostFailure) -> String? {
    let result = try HostCommand.run(argv, deadline: share)
    guard result.status.isSuccess else {
      return "ended with \(result.status)\(result.lastWords.isEmpty ? "" : ": \(result.lastWords)")"
    }
    // Some programs print their version among the errors.
    return versionFailure(in: [result.stdout, result.stderr], version)
  }

  private func versionFailure(in texts: [[UInt8]], _ bound: VersionBound?) -> String? {
    guard let bound else { return nil }
    for text in texts {
      guard let found = VersionBound.firstVersion(in: String(decoding: text, as: UTF8.self)) else { continue }
      if bound.admits(found) { return nil }
      return "its version is \(found.map(String.init).joined(separator: ".")), needed is \(bound)"
    }
    return "it tells no version, needed is \(bound)"
  }

  private func shortage(_ what: String, _ free: Int64, _ needed: Int64) -> String? {
    free >= needed ? nil : "only \(free) bytes are free \(what), needed are \(needed)"
  }

  private func portFailure(_ port: Int) -> String? {
    guard let owner = Listeners.on([port]).first else { return nil }
    guard owner.pid > 0 else { return "port \(port) is taken by a process that can't be told" }
    let unit = owner.unit.isEmpty ? "" : ", unit \(owner.unit)"
    return "port \(port) is taken by \(owner.command) (pid \(owner.pid)\(unit))"
  }

  private func fileFailure(_ path: String) -> String? {
    guard path.utf8.first == UInt8(ascii: "/"), !path.utf8.contains(0) else {
      return "the path is not absolute"
    }
    return access(path, F_OK) == 0 ? nil : "\(escapedForTerminal(path)): \(errorText(errno))"
  }
}

extension DependencyChecks {
  /// Imports the module named by the first argument, then prints the version of its distribution where there is one. The
  /// program is fixed; the name travels as an argument of its own.
  private static let importer = """
    import importlib, sys
    name = sys.argv[1]
    module = importlib.import_module(name)
    top = name.split(".")[0]
    try:
        from importlib import metadata
    except ImportError:
        metadata = None
    found = None
    if metadata is not None:
        names = [top]
        if hasattr(metadata, "packages_distributions"):
            names += metadata.packages_distributions().get(top, [])
        for candidate in names:
            try:
                found = metadata.version(candidate)
                break
            except Exception:
                pass
    print("version:" + str(found or getattr(module, "__version__", "")))
    """

  private func pythonFailure(
    _ name: String, _ interpreter: String, _ version: VersionBound?
  ) throws(HostFailure) -> String? {
    guard !name.isEmpty, name.utf8.count <= 200, name.utf8.allSatisfy(Self.isModuleByte) else {
      return "\"\(escapedForTerminal(name, limit: 100))\" is no module's name"
    }
    // -I: neither the current folder nor the environment may stand in for the installed module.
    let result = try HostCommand.run([interpreter, "-I", "-c", Self.importer, name], deadline: share)
    guard result.status.isSuccess else {
      return "can't be imported: \(result.lastWords.isEmpty ? "\(result.status)" : result.lastWords)"
    }
    // A module may print while it is imported: our line is the last one.
    let line =
      result.outputText.split(whereSeparator: \.isNewline).last(where: { $0.hasPrefix("version:") }) ?? ""
    return versionFailure(in: [Array(line.utf8)], version)
  }

  private static func isModuleByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
      true
    default: false
    }
  }
}
