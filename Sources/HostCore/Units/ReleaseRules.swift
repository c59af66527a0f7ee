import RolloutModel

/// What a release may say, checked again on the host: it ends in root's unit files, whoever sent it.
enum ReleaseRules {
  static func check(_ manifest: ReleaseManifest) throws(HostFailure) {
    if let container = manifest.container {
      try check(container, manifest)
    } else {
      try checkPath(manifest.exec)
    }
    try checkUser(manifest.user)
    guard (0...16).contains(manifest.strip) else {
      throw bad("strip \(manifest.strip) is not one of 0 to 16")
    }
    guard manifest.archiveBytes > 0 || manifest.container?.image != nil else {
      throw bad("the archive has no bytes")
    }
    guard manifest.args.count <= 256 else { throw bad("more than 256 arguments") }
    for argument in manifest.args { try checkText(argument, "an argument", newlines: true) }
    guard manifest.environment.count <= 256 else { throw bad("more than 256 variables") }
    for variable in manifest.environment { try checkVariable(variable) }
    if let template = manifest.unitTemplate {
      let limit = AgentDefinition.longestUnit
      guard template.utf8.count <= limit else { throw bad("the unit is longer than \(limit / 1024) KiB") }
      try checkText(template, "the unit", newlines: true, limit: limit)
    }
  }

  /// A host's name goes into units and environments.
  static func checkHost(_ host: String) throws(HostFailure) {
    guard !host.isEmpty, host.utf8.count <= 255 else { throw bad("the host's name has 1 to 255 bytes") }
    guard host.unicodeScalars.allSatisfy({ isHostScalar($0) }) else {
      throw bad(
        "the host's name \(escapedForTerminal(host)) has characters other than letters, digits and -_.:")
    }
  }

  private static func isHostScalar(_ scalar: Unicode.Scalar) -> Bool {
    scalar.isASCII
      && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil
        || "-_.:".unicodeScalars.contains(scalar))
  }

  private static func check(
    _ container: ContainerDefinition, _ manifest: ReleaseManifest
  ) throws(HostFailure) {
    guard manifest.exec.isEmpty, manifest.strip == 0, manifest.unitTemplate == nil else {
      throw bad("a container has neither exec nor strip nor unit")
    }
    if let image = container.image {
      guard image.digest == manifest.archive, manifest.archiveBytes == 0 else {
        throw bad("the image \(image) is another than the release's, \(manifest.archive.short)")
      }
    }
    guard container.volumes.count <= 32 else { throw bad("more than 32 volumes") }
    for volume in container.volumes {
      if let complaint = volume.complaint(for: manifest.agent) {
        throw bad("the volume \(escapedForTerminal(volume.description)): \(escapedForTerminal(complaint))")
      }
    }
    guard container.memory.map({ $0 > 0 }) ?? true else { throw bad("memory is not above 0") }
  }

  private static func checkPath(_ path: String) throws(HostFailure) {
    try checkText(path, "exec", newlines: false)
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard !path.isEmpty, parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
      throw bad("exec \(escapedForTerminal(path)) is no path inside the release")
    }
  }

  private static func checkUser(_ user: String) throws(HostFailure) {
    let allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
    guard (1...64).contains(user.utf8.count), user.allSatisfy({ allowed.contains($0) }), !user.hasPrefix("-"),
      !user.hasPrefix(".")
    else { throw bad("the user \(escapedForTerminal(user)) is no user's name") }
  }

  private static func checkVariable(_ variable: EnvironmentVariable) throws(HostFailure) {
    let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
    guard let first = variable.name.first, letters.contains(first), variable.name != "PORT",
      variable.name.utf8.count <= 128,
      variable.name.allSatisfy({ letters.contains($0) || "0123456789".contains($0) })
    else { throw bad("\(escapedForTerminal(variable.name)) is no variable's name, or is PORT") }
    try checkText(variable.value, "the variable \(variable.name)", newlines: false)
  }

  private static func checkText(
    _ text: String, _ what: String, newlines: Bool, limit: Int = 16 * 1024
  ) throws(HostFailure) {
    guard text.utf8.count <= limit else { throw bad("\(what) is longer than \(limit) bytes") }
    let clean = text.unicodeScalars.allSatisfy { scalar in
      switch scalar.value {
      case 0x09: true
      case 0x0a: newlines
      case 0x00...0x1f, 0x7f...0x9f, 0x2028, 0x2029: false
      default: true
      }
    }
    guard clean else { throw bad("\(what) has control characters: \(escapedForTerminal(text, limit: 80))") }
  }

  private static func bad(_ why: String) -> HostFailure {
    HostFailure(.invalid, "the release can't be run: \(why)", hint: "correct the agent file")
  }
}
