import HTTPTypes

/// One thing that can be asked of the agent.
struct Route: Sendable {
  let method: HTTPRequest.Method
  /// The path, in which `{name}` stands for one part of any text.
  let path: String
  /// How long the answer's head may take; nil where the route bounds it itself.
  let limit: Duration?
  /// What the OpenAPI document says of it.
  let documentation: Documentation
  let answer: @Sendable (Call) async throws -> Answer

  init(
    _ method: HTTPRequest.Method, _ path: String, limit: Duration?, _ documentation: Documentation,
    answer: @escaping @Sendable (Call) async throws -> Answer
  ) {
    self.method = method
    self.path = path
    self.limit = limit
    self.documentation = documentation
    self.answer = answer
  }

  /// What a path has in the places of the names, as it stands there; nil where it is not this route's.
  func parameters(_ path: String) -> [String: String]? {
    let wanted = self.path.split(separator: "/", omittingEmptySubsequences: false)
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard wanted.count == parts.count else { return nil }
    var found: [String: String] = [:]
    for (name, part) in zip(wanted, parts) {
      if name.hasPrefix("{") {
        guard !part.isEmpty else { return nil }
        found[String(name.dropFirst().dropLast())] = String(part)
      } else if name != part {
        return nil
      }
    }
    return found
  }

  /// Whether a path is for controllers alone. Asked of the path, not of a route: what nobody thought of is closed.
  static func needsCaller(_ path: String) -> Bool { path == "/v1" || path.hasPrefix("/v1/") }
}

/// The routes, found by method and path.
struct RouteTable: Sendable {
  let routes: [Route]

  /// The route for a request, and what the path has in the places of its names; HEAD is answered as GET is.
  func route(
    _ method: HTTPRequest.Method, _ path: String
  ) throws(AgentError) -> (Route, [String: String]) {
    let there = routes.filter { $0.parameters(path) != nil }
    guard !there.isEmpty else {
      throw AgentError(
        .notFound, "not_found", "there is no such path", hint: "see /v1/openapi.json for those there are")
    }
    let wanted = method == .head ? .get : method
    guard let route = there.first(where: { $0.method == wanted }) else {
      let methods = there.map(\.method.rawValue).joined(separator: ", ")
      var error = AgentError(
        .methodNotAllowed, "method_not_allowed", "this path does not take that method", hint: "use \(methods)"
      )
      error.allow = methods
      throw error
    }
    return (route, route.parameters(path) ?? [:])
  }
}
