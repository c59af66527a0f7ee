/// What one probe asks and what answer it accepts.
public struct ProbeDefinition: Hashable, Sendable, Codable {
  /// What is asked.
  public enum Question: Hashable, Sendable, Codable {
    /// GET this path (it begins with `/`) in clear text.
    case http(path: String)
    /// GET this path over TLS; `verify` false accepts any certificate, for agents with one of their own.
    case https(path: String, verify: Bool)
    /// A TCP connection is accepted.
    case tcp
  }

  /// What is asked.
  public var question: Question
  /// A port other than the slot's or the public one; nil for that one.
  public var port: Int?
  /// What the answer must be; ignored for TCP.
  public var expect: Expectation

  /// A probe from its parts.
  public init(question: Question, port: Int? = nil, expect: Expectation = Expectation()) {
    self.question = question
    self.port = port
    self.expect = expect
  }

  /// How a line names the probe: `GET /health`, `TCP`.
  public var title: String {
    switch question {
    case .http(let path), .https(let path, _): "GET \(path)"
    case .tcp: "TCP connect"
    }
  }
}

/// What an HTTP answer must be. All parts that are set must hold.
public struct Expectation: Hashable, Sendable, Codable {
  /// The status code.
  public var status: Int
  /// Values that must stand in the JSON body, by path (`a.b`), in the file's order.
  public var json: [JSONField]
  /// Text that must occur in the body.
  public var body: String?
  /// A regular expression (Swift's syntax) that must match somewhere in the body.
  public var bodyMatches: String?
  /// Header fields that must be there with these values, in the file's order; names compare without case.
  public var headers: [HeaderField]

  /// An expectation; with no arguments: status 200.
  public init(
    status: Int = 200, json: [JSONField] = [], body: String? = nil, bodyMatches: String? = nil,
    headers: [HeaderField] = []
  ) {
    self.status = status
    self.json = json
    self.body = body
    self.bodyMatches = bodyMatches
    self.headers = headers
  }
}

/// One expected value in a JSON body.
public struct JSONField: Hashable, Sendable, Codable {
  /// Keys from the outside in, joined by dots; digits index into arrays.
  public var path: String
  /// What must stand there.
  public var value: JSONScalar

  /// A field from its parts.
  public init(path: String, value: JSONScalar) {
    self.path = path
    self.value = value
  }
}

/// A JSON value that is no container.
public enum JSONScalar: Hashable, Sendable, Codable {
  case text(String)
  case number(Double)
  case flag(Bool)
  case null
}

/// One expected header field.
public struct HeaderField: Hashable, Sendable, Codable {
  /// The field's name, compared without case.
  public var name: String
  /// The value, compared exactly.
  public var value: String

  /// A field from its parts.
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// How often a probe is asked and when its gate has passed or failed.
public struct Gate: Hashable, Sendable, Codable {
  /// Healthy answers in a row that pass the gate.
  public var successes: Int
  /// From the start of one sample to the start of the next.
  public var interval: Span
  /// The most that one sample may take; later is not healthy.
  public var timeout: Span
  /// From the start of the gate until it must have passed.
  public var deadline: Span

  /// A gate from its parts.
  public init(successes: Int, interval: Span, timeout: Span, deadline: Span) {
    self.successes = successes
    self.interval = interval
    self.timeout = timeout
    self.deadline = deadline
  }
}

/// One measurement.
public struct Sample: Hashable, Sendable, Codable {
  /// What came of it.
  public enum Outcome: Hashable, Sendable, Codable {
    /// The answer met every expectation.
    case healthy
    /// An answer came and did not meet an expectation: what was wrong, escaped for a terminal.
    case unhealthy(String)
    /// The right agent may have answered, but it is of another version: what was expected and what came.
    case wrongVersion(String)
    /// No answer: refused, timed out, unparsable.
    case noAnswer(String)
    /// The probe could not be asked because of us or of what lies between (tunnel lost, no file descriptors): says nothing of the agent.
    case notAsked(String)
  }

  /// What came of it.
  public var outcome: Outcome
  /// From asking to the verdict.
  public var took: Span

  /// A sample from its parts.
  public init(outcome: Outcome, took: Span) {
    self.outcome = outcome
    self.took = took
  }

  /// Whether the answer met every expectation; unknown is not healthy.
  public var isHealthy: Bool { outcome == .healthy }

  /// Whether the probe could not be asked at all, which says nothing of the agent.
  public var isNotAsked: Bool {
    if case .notAsked = outcome { true } else { false }
  }

  /// The reason of an outcome that is not healthy.
  public var reason: String? {
    switch outcome {
    case .healthy: nil
    case .unhealthy(let why), .wrongVersion(let why), .noAnswer(let why), .notAsked(let why): why
    }
  }
}
