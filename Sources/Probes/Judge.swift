import RolloutModel

/// Holds an answer against what is expected of it, its regular expression aside.
struct Judge {
  var expect: Expectation
  /// The version that must answer, if any.
  var version: String?

  /// Healthy only where every expectation holds. An answer that names another version says so first: whatever else is
  /// wrong with it is then not the candidate's fault. Otherwise the first broken expectation is told.
  func outcome(of answer: Answer) -> Sample.Outcome {
    var wrong: [Sample.Outcome] = []
    if answer.status != expect.status {
      wrong.append(.unhealthy("status \(answer.status), expected \(expect.status)"))
    }
    wrong += expect.headers.compactMap { verdict(on: $0, in: answer) }
    wrong += verdictsOnJSON(answer)
    if let text = expect.body, !answer.body.contains(text.utf8) {
      wrong.append(.unhealthy("body does not contain \(quoted(text))\(answer.extent)"))
    }
    return wrong.first { if case .wrongVersion = $0 { true } else { false } } ?? wrong.first ?? .healthy
  }

  private func verdict(on field: HeaderField, in answer: Answer) -> Sample.Outcome? {
    let values = answer.fields.filter { $0.name.lowercased() == field.name.lowercased() }.map(\.value)
    if values.contains(where: { $0.utf8.elementsEqual(field.value.utf8) }) { return nil }
    let expected = "expected \(quoted(field.value))"
    let name = "header \(escapedForTerminal(field.name, limit: 80))"
    guard let value = values.first else { return .unhealthy("\(name) is missing, \(expected)") }
    return mismatch("\(name) \(quoted(value)), \(expected)", isVersion: field.value == version)
  }

  private func verdictsOnJSON(_ answer: Answer) -> [Sample.Outcome] {
    guard !expect.json.isEmpty else { return [] }
    if answer.isCut { return [.unhealthy("body is longer than \(Answer.limit) bytes: its JSON is not read")] }
    guard let found = JSONPlaces(of: expect.json.map(\.path), in: answer.body)?.found else {
      return [.unhealthy("body is not JSON")]
    }
    return zip(expect.json, found).compactMap { field, place in
      if place.equals(field.value) { return nil }
      let reason =
        "\(escapedForTerminal(field.path, limit: 80)) \(place.described), expected \(field.value.described)"
      return mismatch(reason, isVersion: place.namesVersion && field.value == version.map(JSONScalar.text))
    }
  }

  private func mismatch(_ reason: String, isVersion: Bool) -> Sample.Outcome {
    isVersion ? .wrongVersion(reason) : .unhealthy(reason)
  }
}

extension Answer {
  /// How far into the body was looked, where that was not to its end.
  var extent: String { isCut ? " in its first \(Answer.limit) bytes" : "" }
}

extension JSONScalar {
  /// As JSON would write it.
  var described: String {
    switch self {
    case .text(let text): quoted(text)
    case .number(let number):
      Int64(exactly: number).map { String($0) } ?? String(number)
    case .flag(let flag): String(flag)
    case .null: "null"
    }
  }
}
