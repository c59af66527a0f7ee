/// Does the same with many things, at most `atOnce` at a time; results in the things' order.
public func inTurn<Thing: Sendable, Value: Sendable>(
  _ things: [Thing], atOnce: Int = 100, _ body: @escaping @Sendable (Thing) async -> Value
) async -> [Value] {
  await withTaskGroup(of: (Int, Value).self) { group in
    var next = 0
    func addNext() {
      guard next < things.count else { return }
      let (place, thing) = (next, things[next])
      next += 1
      group.addTask { (place, await body(thing)) }
    }
    for _ in 0..<max(1, atOnce) { addNext() }
    var values: [Value?] = things.map { _ in nil }
    for await (place, value) in group {
      values[place] = value
      addNext()
    }
    return values.compactMap { $0 }
  }
}
