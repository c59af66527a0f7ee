import RolloutModel

/// Text made safe for unit files and environment files.
enum Quoting {
  /// One word of a command line in a unit: no specifier, no variable and no escape of systemd's takes effect in it.
  static func word(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "%": result += "%%"
      case "$": result += "$$"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// A value outside a command line: only specifiers take effect there.
  static func value(_ text: String) -> String {
    text.replacing("%", with: "%%")
  }

  /// One line of an environment file.
  static func variable(_ variable: EnvironmentVariable) -> String {
    var result = "\(variable.name)=\""
    for character in variable.value.unicodeScalars {
      if "\"\\$`".unicodeScalars.contains(character) { result += "\\" }
      result.unicodeScalars.append(character)
    }
    return result + "\"\n"
  }
}
