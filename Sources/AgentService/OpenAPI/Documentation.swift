/// What the OpenAPI document says of a route.
struct Documentation: Sendable {
  /// What a body is.
  enum Content: Sendable {
    case json(JSON)
    case bytes
    /// Lines of JSON, each of this schema.
    case lines(JSON)
  }

  let summary: String
  let tag: String
  let sends: Content?
  let receives: Content
  /// What the query's keys mean; all of them must be there.
  let query: [String: String]
  /// The statuses of its own failures.
  let failures: [Int]

  init(
    _ summary: String, tag: String, sends: Content? = nil, receives: Content = .json(["type": "object"]),
    query: [String: String] = [:], failures: [Int] = []
  ) {
    self.summary = summary
    self.tag = tag
    self.sends = sends
    self.receives = receives
    self.query = query
    self.failures = failures
  }
}
