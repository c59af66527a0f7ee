import MarkedYAML

/// What is taken from arguments for the program `ssh`.
struct SSHArguments: Equatable {
  var knownHostsFiles: [String] = []
  var proxyJump: String?
  var identityFile: String?
  var port: Int?
  var user: String?

  /// Reads arguments as `ssh` does: the first of several wins. Errors: quotes that are not closed, and what changes the
  /// way to a host and can't be followed (`ProxyCommand`, `-F`, `-W`).
  static func read(_ text: String) -> Result<SSHArguments, Complaint> {
    guard let words = ShellWords.split(text, comments: false) else {
      return .failure(Complaint("a quote in the ssh arguments is not closed", "close it"))
    }
    var result = SSHArguments()
    var rest = words.map(\.text)[...]
    while let word = rest.popFirst() {
      guard word.hasPrefix("-"), let letter = word.dropFirst().first else {
        return .failure(
          Complaint("\(quoted(word)) is no ssh option", "write -J HOST, -o NAME=VALUE and the like"))
      }
      guard "bcDEeFIiJLlmOopQRSWwB".contains(letter) else { continue }
      let joined = String(word.dropFirst(2))
      guard let value = joined.isEmpty ? rest.popFirst() : joined else {
        return .failure(Complaint("the ssh option -\(letter) has no value", "write it behind the option"))
      }
      if let complaint = result.take(letter, value) { return .failure(complaint) }
    }
    return .success(result)
  }

  private mutating func take(_ letter: Character, _ value: String) -> Complaint? {
    switch letter {
    case "J": return takeJump(value)
    case "i": identityFile = identityFile ?? value
    case "l": user = user ?? value
    case "p": return takePort(value)
    case "o": return takeOption(value)
    case "F":
      return Complaint(
        "-F names an ssh configuration of its own", "put it into ~/.ssh/config, or write its options here")
    case "W": return Complaint("-W can't be used here", "write -J [USER@]HOST[:PORT]")
    default: break
    }
    return nil
  }

  private mutating func takeOption(_ option: String) -> Complaint? {
    let name = option.prefix { $0 != "=" && $0 != " " && $0 != "\t" }
    let value = String(option.dropFirst(name.count).drop { $0 == "=" || $0 == " " || $0 == "\t" })
    switch name.lowercased() {
    case "userknownhostsfile":
      guard let files = ShellWords.split(value, comments: false), !files.isEmpty else {
        return Complaint("UserKnownHostsFile names no file", "write UserKnownHostsFile=PATH")
      }
      if knownHostsFiles.isEmpty { knownHostsFiles = files.map(\.text) }
    case "proxyjump": return takeJump(value)
    case "identityfile": identityFile = identityFile ?? value
    case "port": return takePort(value)
    case "user": user = user ?? value
    case "proxycommand" where value.lowercased() != "none":
      return Complaint(
        "ProxyCommand can't be used: nothing is run through a shell", "write -J [USER@]HOST[:PORT]")
    default: break
    }
    return nil
  }

  private mutating func takePort(_ value: String) -> Complaint? {
    guard let number = Int(value), (1...65_535).contains(number) else {
      return Complaint("the port \(quoted(value)) is out of range", "write one from 1 to 65535")
    }
    port = port ?? number
    return nil
  }

  private mutating func takeJump(_ value: String) -> Complaint? {
    let isGood = value.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { hop in
      !hop.isEmpty && !hop.hasPrefix("-")
        && hop.utf8.allSatisfy { HostRange.isLetterOrDigit($0) || "._:%@[]\\+$-".utf8.contains($0) }
    }
    guard isGood else {
      return Complaint("the jump host is \(quoted(value))", "write [USER@]HOST[:PORT], several with commas")
    }
    proxyJump = proxyJump ?? value
    return nil
  }
}
