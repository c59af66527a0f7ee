import HTTPTypes

/// An answer other than the one that was asked for.
struct AgentError: Error, Hashable, Sendable {
  /// The status of the answer.
  var status: HTTPResponse.Status
  /// For programs.
  var code: String
  /// What failed and why. Text from a client or a file is escaped.
  var message: String
  /// What to do.
  var hint: String
  /// Methods that are allowed, where that was the matter.
  var allow: String?

  init(_ status: HTTPResponse.Status, _ code: String, _ message: String, hint: String) {
    self.status = status
    self.code = code
    self.message = message
    self.hint = hint
  }

  static func forbidden(_ message: String, hint: String) -> AgentError {
    AgentError(.forbidden, "forbidden", message, hint: hint)
  }

  static func invalid(_ message: String, hint: String) -> AgentError {
    AgentError(.badRequest, "invalid", message, hint: hint)
  }

  /// The body of the answer.
  var body: JSON {
    ["error": ["code": .text(code), "message": .text(message), "hint": .text(hint)]]
  }
}
