import HTTPTypes

/// The OpenAPI document: what the routes say of themselves.
enum OpenAPIDocument {
  static func make(_ routes: [Route], version: String) -> JSON {
    var paths: [String: [String: JSON]] = [:]
    for route in routes {
      paths[route.path, default: [:]][route.method.rawValue.lowercased()] = operation(route)
    }
    return [
      "openapi": "3.1.0",
      "info": [
        "title": "switchyard-agent", "version": .text(version),
        "description":
          "The way to a host for Switchyard's controllers. What is below /v1 asks for a client certificate.",
      ],
      "paths": .object(paths.mapValues { .object($0) }),
      "components": [
        "securitySchemes": [
          "certificate": ["type": "mutualTLS"],
          "token": [
            "type": "http", "scheme": "bearer",
            "description": "Beside the certificate, where the agent's configuration has token_sha256",
          ],
        ],
        "schemas": ["Error": error],
      ],
    ]
  }

  private static let error: JSON = [
    "type": "object", "required": ["error"],
    "properties": [
      "error": [
        "type": "object", "required": ["code", "message", "hint"],
        "properties": [
          "code": ["type": "string", "description": "For programs"],
          "message": ["type": "string", "description": "What failed, and why"],
          "hint": ["type": "string", "description": "What to do"],
        ],
      ]
    ],
  ]

  private static func operation(_ route: Route) -> JSON {
    let about = route.documentation
    var responses: [String: JSON] = ["200": ["description": "Done", "content": content(about.receives)]]
    let needsCaller = Route.needsCaller(route.path)
    for status in about.failures + (needsCaller ? [401, 403, 503] : []) {
      responses["\(status)"] = ["description": .text(meaning(status)), "content": content(.json(reference))]
    }
    var operation: [String: JSON] = [
      "summary": .text(about.summary), "tags": [.text(about.tag)], "responses": .object(responses),
    ]
    if let sends = about.sends { operation["requestBody"] = ["required": true, "content": content(sends)] }
    if needsCaller { operation["security"] = [["certificate": []], ["certificate": [], "token": []]] }
    if !about.parameters.isEmpty {
      operation["parameters"] = .list(
        about.parameters.map { parameter in
          [
            "name": .text(parameter.name), "in": .text(parameter.place.rawValue),
            "required": .flag(parameter.isRequired), "description": .text(parameter.about),
            "schema": parameter.schema,
          ]
        })
    }
    return .object(operation)
  }

  private static let reference: JSON = ["$ref": "#/components/schemas/Error"]

  private static func content(_ content: Documentation.Content) -> JSON {
    switch content {
    case .json(let schema): ["application/json": ["schema": schema]]
    case .bytes: ["application/octet-stream": [:]]
    case .lines(let schema): ["application/x-ndjson": ["schema": schema]]
    }
  }

  private static func meaning(_ status: Int) -> String {
    switch status {
    case 400: "Not understood"
    case 401: "No client certificate"
    case 403: "Not allowed to this client, or to any"
    case 404: "There is no such thing"
    case 409: "Not as things are"
    case 413: "The body is too large"
    case 502: "Nothing listens there, or what does failed"
    case 503: "Not now"
    case 504: "No answer in time"
    default: "Failed"
    }
  }
}
