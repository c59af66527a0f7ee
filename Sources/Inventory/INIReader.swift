import MarkedYAML

/// Reads an inventory in Ansible's INI form.
struct INIReader {
  private enum Section {
    case hosts(Int)
    case variables(Int)
    case children(Int)
  }

  private let diagnostics: Diagnostics
  private var section = Section.hosts(InventoryData.ungrouped)
  /// Groups with variables; a section of their own must declare them somewhere.
  private var withVariables: [(name: String, place: Place)] = []
  /// Children that were named before the section that declares them.
  private var waiting: [String: [(parent: Int, place: Place)]] = [:]
  private var declared: Set<String> = ["all", "ungrouped"]

  /// Adds a file's hosts and groups to the data; problems go to the diagnostics.
  static func read(_ text: SourceText, into data: inout InventoryData, diagnostics: Diagnostics) {
    var reader = INIReader(diagnostics: diagnostics)
    for (index, line) in text.lines.enumerated() { reader.readLine(line, number: index + 1, into: &data) }
    reader.reportUndeclared()
  }

  private func reportUndeclared() {
    let children = waiting.flatMap { name, parents in parents.map { (name: name, place: $0.place) } }
    let undeclared = (withVariables + children).filter { !declared.contains($0.name) }
    for group in undeclared.sorted(by: { $0.place < $1.place }) {
      let near = diagnostics.isFull ? nil : nearest(to: group.name, of: declared.sorted())
      diagnostics.report(
        group.place, "no section declares the group \(quoted(group.name))",
        near.map { "did you mean \($0)?" } ?? "add the section [\(printable(group.name))]")
    }
  }

  private init(diagnostics: Diagnostics) { self.diagnostics = diagnostics }

  private mutating func readLine(_ line: String, number: Int, into data: inout InventoryData) {
    let indent = line.unicodeScalars.prefix { $0 == " " || $0 == "\t" }.count
    var content = Substring(line.unicodeScalars.dropFirst(indent))
    while let last = content.unicodeScalars.last, last == " " || last == "\t" {
      content.unicodeScalars.removeLast()
    }
    guard let first = content.unicodeScalars.first, first != "#", first != ";" else { return }
    let place = Place(line: number, column: indent + 1)
    if first == "[", let end = Self.sectionEnd(content) {
      openSection(content[content.index(after: content.startIndex)..<end], place: place, into: &data)
      return
    }
    switch section {
    case .hosts(let group): readHost(content, group: group, place: place, into: &data)
    case .variables(let group): readVariable(content, group: group, place: place, into: &data)
    case .children(let group): readChild(content, group: group, place: place, into: &data)
    }
  }

  /// Where the `]` of a section's line is; nil where the line is none, as `[::1]:22 ansible_user=a`.
  private static func sectionEnd(_ line: Substring) -> Substring.Index? {
    guard let end = line.firstIndex(of: "]") else { return nil }
    let rest = line[line.index(after: end)...].drop { $0 == " " || $0 == "\t" }
    return rest.isEmpty || rest.hasPrefix("#") ? end : nil
  }

  private mutating func openSection(_ title: Substring, place: Place, into data: inout InventoryData) {
    let parts = title.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard let name = parts.first, !name.isEmpty, parts.count <= 2,
      !title.contains(where: { $0 == " " || $0 == "\t" || $0 == "[" })
    else {
      diagnostics.report(
        place, "\(quoted("[\(title)]")) is no section",
        "write [GROUP], [GROUP:children] or [GROUP:vars] without spaces")
      return
    }
    guard let group = data.addGroup(name) else {
      diagnostics.report(place, "the inventory has too many groups", "check that it is the right file")
      return
    }
    switch parts.count == 2 ? parts[1] : "hosts" {
    case "hosts":
      section = .hosts(group)
      declare(name, group, in: &data)
    case "children":
      section = .children(group)
      declare(name, group, in: &data)
    case "vars":
      section = .variables(group)
      withVariables.append((name, place))
    case let other:
      diagnostics.report(
        place, "a section can't be of the kind \(quoted(other))",
        proposal(for: other, of: ["hosts", "children", "vars"]))
    }
  }

  /// As Ansible does, a child that was named early takes its place among its siblings where it is declared.
  private mutating func declare(_ name: String, _ group: Int, in data: inout InventoryData) {
    declared.insert(name)
    for early in waiting.removeValue(forKey: name) ?? [] {
      data.addChild(group, to: early.parent, file: diagnostics.file, place: early.place)
    }
  }

  private mutating func readHost(_ line: Substring, group: Int, place: Place, into data: inout InventoryData)
  {
    guard let words = ShellWords.split(line, comments: true) else {
      diagnostics.report(place, "a quote is not closed", "close it, or double the backslash")
      return
    }
    guard let pattern = words.first else { return }
    let expanded: (names: [String], port: Int?)
    switch HostRange.expand(pattern.text) {
    case .failure(let complaint):
      diagnostics.report(place, complaint.what, complaint.instead)
      return
    case .success(let result): expanded = result
    }
    var variables: [(name: String, variable: Variable)] = []
    if let port = expanded.port {
      variables.append(("ansible_port", variable("\(port)", place)))
    }
    for word in words.dropFirst() {
      let place = Place(line: place.line, column: place.column + word.column - 1)
      guard let equals = word.text.firstIndex(of: "="), equals > word.text.startIndex else {
        diagnostics.report(place, "\(quoted(word.text)) is no variable", "write NAME=VALUE, one line a host")
        continue
      }
      let value = String(word.text[word.text.index(after: equals)...])
      variables.append((String(word.text[..<equals]), variable(Self.literal(value), place)))
    }
    for name in expanded.names {
      guard let host = data.addHost(name, to: group) else {
        diagnostics.report(place, "the inventory has more than \(InventoryData.mostHosts) hosts", "split it")
        return
      }
      for (name, variable) in variables { data.setVariable(name, variable, host: host) }
    }
  }

  private mutating func readVariable(
    _ line: Substring, group: Int, place: Place, into data: inout InventoryData
  ) {
    guard let equals = line.firstIndex(of: "="), equals > line.startIndex else {
      diagnostics.report(place, "\(quoted(String(line))) is no variable", "write NAME=VALUE")
      return
    }
    func trimmed(_ text: Substring) -> String {
      var text = text.drop { $0 == " " || $0 == "\t" }
      while text.last == " " || text.last == "\t" { text = text.dropLast() }
      return String(text)
    }
    let value = Self.literal(trimmed(line[line.index(after: equals)...]))
    data.setVariable(trimmed(line[..<equals]), variable(value, place), group: group)
  }

  private mutating func readChild(_ line: Substring, group: Int, place: Place, into data: inout InventoryData)
  {
    let name = String(line.prefix { $0 != " " && $0 != "\t" && $0 != "#" })
    let rest = line.dropFirst(name.count).drop { $0 == " " || $0 == "\t" }
    guard !name.isEmpty, !name.contains(":"), !name.contains("="), rest.isEmpty || rest.hasPrefix("#") else {
      diagnostics.report(place, "\(quoted(String(line))) is no group's name", "write one group's name a line")
      return
    }
    if let child = data.group(name) {
      data.addChild(child, to: group, file: diagnostics.file, place: place)
    } else {
      waiting[name, default: []].append((group, place))
    }
  }

  private func variable(_ text: String, _ place: Place) -> Variable {
    let isNothing = text == "None"
    return Variable(
      file: diagnostics.file,
      node: MarkedNode(place: place, content: .scalar(isNothing ? "" : text, isPlain: isNothing)))
  }

  /// The value of a Python literal as Ansible reads one: quotes and a comment behind them are no part of it.
  private static func literal(_ text: String) -> String {
    guard let quote = text.first, quote == "'" || quote == "\"" else {
      let number = text.prefix { $0 != "#" && $0 != " " && $0 != "\t" }
      let rest = text.dropFirst(number.count).drop { $0 == " " || $0 == "\t" }
      return rest.hasPrefix("#") && Int(number) != nil ? String(number) : text
    }
    var value = ""
    var isEscaped = false
    for (offset, character) in text.dropFirst().enumerated() {
      if isEscaped {
        if character != quote, character != "\\" { value.append("\\") }
        value.append(character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
      } else if character == quote {
        let rest = text.dropFirst(offset + 2).drop { $0 == " " || $0 == "\t" }
        return rest.isEmpty || rest.hasPrefix("#") ? value : text
      } else {
        value.append(character)
      }
    }
    return text
  }
}
