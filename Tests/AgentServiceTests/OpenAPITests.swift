import FoundationEssentials
import Testing

@testable import AgentService

@Suite("The OpenAPI document", .timeLimit(.minutes(5)))
struct OpenAPITests {
  private struct Document: Decodable {
    struct Operation: Decodable {
      let summary: String
      let responses: [String: Response]
      let security: [[String: [String]]]?
      let parameters: [Parameter]?
      let requestBody: Body?
    }
    struct Parameter: Decodable { let name: String }
    struct Body: Decodable { let content: [String: Schema] }
    struct Schema: Decodable {}
    struct Response: Decodable {
      let description: String
      let content: [String: Schema]
    }
    let openapi: String
    let paths: [String: [String: Operation]]
  }

  @Test("Its paths and methods are those that are answered, and no others")
  func paths() async throws {
    try await RunningAgent.with { agent in
      let (status, body) = try await agent.curl("/v1/openapi.json")
      #expect(status == 200)
      let document = try JSONDecoder().decode(Document.self, from: Data(body.utf8))
      #expect(document.openapi == "3.1.0")
      #expect(
        document.paths.keys.sorted() == [
          "/healthz", "/readyz", "/v1/commands", "/v1/facts", "/v1/host", "/v1/openapi.json",
          "/v1/playbooks", "/v1/runs", "/v1/runs/{id}", "/v1/runs/{id}/log", "/v1/services",
          "/v1/services/{name}",
          "/v1/services/{name}/restart", "/v1/services/{name}/start",
          "/v1/services/{name}/stop", "/v1/tunnel", "/v1/uploads/{sha256}",
          "/version",
        ])
      for (path, operations) in document.paths {
        for method in ["get", "post", "put", "delete", "patch"] {
          let answer = try await agent.curl(path, ["-X", method.uppercased()]).status
          #expect((answer == 405) == (operations[method] == nil), "\(method) \(path): \(answer)")
        }
        for operation in operations.values {
          let needsCertificate = try await agent.curl(path, as: nil).status == 401
          #expect((operation.security != nil) == needsCertificate, "\(path)")
          #expect(operation.responses["200"] != nil && !operation.summary.isEmpty)
        }
      }
    }
  }

  @Test("What it says of bodies and queries is so")
  func contents() async throws {
    try await RunningAgent.with { agent in
      let (_, body) = try await agent.curl("/v1/openapi.json")
      let document = try JSONDecoder().decode(Document.self, from: Data(body.utf8))
      let tunnel = try #require(document.paths["/v1/tunnel"]?["post"])
      #expect(tunnel.parameters?.map(\.name) == ["port"])
      #expect(tunnel.responses["502"] != nil)
      #expect(tunnel.requestBody?.content.keys.sorted() == ["application/octet-stream"])
      let command = try #require(document.paths["/v1/commands"]?["post"])
      #expect(command.responses["200"]?.content.keys.sorted() == ["application/x-ndjson"])
    }
  }
}
