/// What the OpenAPI document says of a route.
struct Documentation: Sendable {
  /// What a body is.
  enum Content: Sendable {
    case json(JSON)
    case bytes
    /// Lines of JSON, each of this schema.
    case lines(JSON)
  }

  /// One value that a request carries beside its body.
  struct Parameter: Sendable {
    enum Place: String, Sendable { case path, query, header }

    let name: String
    let place: Place
    let about: String
    let isRequired: Bool
    let schema: JSON

    init(
      _ name: String, _ place: Place, _ about: String, isRequired: Bool = true,
      schema: JSON = ["type": "string"]
    ) {
      self.name = name
      self.place = place
      self.about = about
      self.isRequired = isRequired
      self.schema = schema
    }
  }

  let summary: String
  let tag: String
  let sends: Content?
  let receives: Content
  let parameters: [Parameter]
  /// The statuses of its own failures.
  let failures: [Int]

  init(
    _ summary: String, tag: String, sends: Content? = nil, receives: Content = .json(["type": "object"]),
    parameters: [Parameter] = [], failures: [Int] = []
  ) {
    self.summary = summary
    self.tag = tag
    self.sends = sends
    self.receives = receives
    self.parameters = parameters
    self.failures = failures
  }
}
