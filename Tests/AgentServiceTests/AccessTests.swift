import FoundationEssentials
import NIOCore
import NIOHTTP1
import RolloutModel
import Testing

@testable import AgentService

@Suite("Who is let in", .timeLimit(.minutes(5)))
struct AccessTests {
  @Test("Health is told to everybody")
  func health() async throws {
    try await RunningAgent.with { agent in
      #expect(try await agent.curl("/healthz", as: nil) == (200, #"{"status":"ok"}"#))
      #expect(try await agent.curl("/readyz", as: nil) == (200, #"{"status":"ready"}"#))
      let (status, body) = try await agent.curl("/version", as: nil)
      #expect(status == 200)
      #expect(
        body == #"{"agent":"switchyard-agent","revocation_list":null,"version":"\#(switchyardVersion)"}"#)
      #expect(try await agent.curl("/healthz", as: nil, ["--head"]).status == 200)
    }
  }

  @Test(
    "Whatever lies below /v1, there or not, is for those with a certificate",
    arguments: ["/v1/facts", "/v1/host", "/v1/openapi.json", "/v1/nothing", "/v1", "/v1/"])
  func anonymous(path: String) async throws {
    try await RunningAgent.with { agent in
      let (status, body) = try await agent.curl(path, as: nil)
      #expect(status == 401)
      #expect(body.contains(#""code":"unauthorized""#))
      #expect(agent.log.text.contains("status=401"))
    }
  }

  @Test("Paths that only look like an open one, or like no path below /v1, open nothing")
  func disguises() async throws {
    try await RunningAgent.with { agent in
      for path in ["//v1/facts", "/%761/facts", "/V1/facts", "/healthz/../v1/facts", "/v1%2ffacts"] {
        let (status, _) = try await agent.curl(path, as: nil, ["--path-as-is"])
        #expect(status == 404 || status == 401, "\(path)")
      }
    }
  }

  @Test("A certificate of the authority, for clients, lets in")
  func good() async throws {
    try await RunningAgent.with { agent in
      let (status, body) = try await agent.curl("/v1/facts")
      #expect(status == 200)
      #expect(body.contains(#""slot":"blue""#))
      #expect(try await agent.curl("/v1/nothing").status == 404)
      #expect(try await agent.curl("/v1/facts", ["-X", "DELETE"]).status == 405)
      #expect(agent.log.text.contains("client=ops"))
    }
  }

  @Test(
    "Certificates of others, and those that have expired, end in the handshake",
    arguments: ["foreign", "expired"])
  func handshake(client: String) async throws {
    try await RunningAgent.with { agent in
      #expect(try await agent.curl("/v1/facts", as: client).status == 0)
      #expect(try await agent.curl("/healthz", as: client).status == 0)
      try await eventually("the refusal is logged") {
        agent.log.text.contains("refused in the TLS handshake")
      }
    }
  }

  @Test("A certificate for servers, or without a usage, is none for clients", arguments: ["server", "plain"])
  func usage(client: String) async throws {
    try await RunningAgent.with { agent in
      let status = try await agent.curl("/v1/facts", as: client).status
      // BoringSSL refuses a certificate for servers in the handshake already.
      #expect(status == (client == "server" ? 0 : 403))
    }
  }

  @Test("Where the configuration names controllers, common name or DNS name must be among them")
  func controllers() async throws {
    try await RunningAgent.with(configure: { configuration, _ in
      configuration.controllers = ["ops", "deploy.example"]
    }) { agent in
      #expect(try await agent.curl("/v1/facts", as: "ops").status == 200)
      #expect(try await agent.curl("/v1/facts", as: "deploy").status == 200)
      let (status, body) = try await agent.curl("/v1/facts", as: "other")
      #expect(status == 403)
      #expect(body.contains("other is none of this agent's controllers"))
    }
  }

  @Test("A revoked certificate lets nobody in, from the moment on that the list says so")
  func revoked() async throws {
    try await RunningAgent.with(
      revocations: ListedSerials.reader,
      configure: { configuration, scratch in
        configuration.revoked = try scratch.write("LIST\n", to: "crl.pem")
      }
    ) { agent in
      #expect(try await agent.curl("/v1/facts", as: "revoked").status == 200)
      try agent.scratch.write("LIST\n\(Authority.serial("revoked"))\n", to: "crl.pem")
      try await eventually("the list is read again") {
        try await agent.curl("/v1/facts", as: "revoked").status == 403
      }
      #expect(try await agent.curl("/v1/facts", as: "ops").status == 200)
      // A list that can't be read takes nothing back.
      try agent.scratch.write("rubbish", to: "crl.pem")
      try await eventually("the bad list is seen") { agent.log.text.contains("can't be used") }
      #expect(try await agent.curl("/v1/facts", as: "revoked").status == 403)
      #expect(try await agent.curl("/v1/facts", as: "ops").status == 200)
    }
  }

  @Test("What is under way for a controller ends when its certificate is revoked, and no other's does")
  func revokedInTheMidst() async throws {
    try await RunningAgent.with(
      revocations: ListedSerials.reader,
      configure: { configuration, scratch in
        configuration.revoked = try scratch.write("LIST\n", to: "crl.pem")
      }
    ) { agent in
      try await FarServer.with(.unix(agent.scratch.file("host.sock")), serve: FarServer.echo) { _ in
        let stays = try await DuplexClient.connect(agent)
        let goes = try await DuplexClient.connect(agent, as: "revoked")
        try await stays.executeThenClose { stayed, orders in
          var stayed = stayed.makeAsyncIterator()
          try await orders.write(DuplexClient.head("/v1/host"))
          #expect(try await stayed.head().status == .ok)
          try await goes.executeThenClose { gone, orders in
            var gone = gone.makeAsyncIterator()
            try await orders.write(DuplexClient.head("/v1/host"))
            #expect(try await gone.head().status == .ok)
            try agent.scratch.write("LIST\n\(Authority.serial("revoked"))\n", to: "crl.pem")
            // Severed, not ended in order: what came must not be taken for all.
            await #expect(throws: (any Error).self) { _ = try await gone.rest() }
            #expect(agent.log.text.contains("a controller's connection is ended"))
          }
          try await orders.write(DuplexClient.body(Array("still here".utf8)))
          #expect(try await stayed.bytes(10) == Array("still here".utf8))
          try await orders.write(.end(nil))
          #expect(try await stayed.rest().isEmpty)
        }
      }
    }
  }

  @Test(
    "Where the authority is replaced, connections of the former one's clients end with their next request")
  func replacedAuthority() async throws {
    let authority = try await Authority.shared.value
    let own = try String(contentsOfFile: authority.root, encoding: .utf8)
    let other = try String(contentsOfFile: authority.pair("foreign-ca").certificate, encoding: .utf8)
    try await RunningAgent.with(configure: { configuration, scratch in
      configuration.authority = try scratch.write(own, to: "ca.pem")
    }) { agent in
      func replace(_ text: String, times: Int) async throws {
        try agent.scratch.write(text, to: "ca.pem")
        try await eventually("the file is read again") {
          agent.log.text.components(separatedBy: "certificates were read again").count == times + 1
        }
      }
      let client = try await DuplexClient.connect(agent)
      try await client.executeThenClose { responses, requests in
        var answer = responses.makeAsyncIterator()
        func ask() async throws -> HTTPResponseHead {
          try await requests.write(DuplexClient.head("/v1/facts", .GET, chunked: false))
          try await requests.write(.end(nil))
          let head = try await answer.head()
          _ = try await answer.rest()
          return head
        }
        #expect(try await ask().status == .ok)
        try await replace(own + other, times: 1)
        #expect(try await ask().status == .ok)
        try await replace(other, times: 2)
        let refused = try await ask()
        #expect(refused.status == .unauthorized)
        #expect(refused.headers["connection"] == ["close"])
      }
      #expect(try await agent.curl("/v1/facts", as: "foreign").status == 200)
    }
  }

  @Test("With a list that is out of date nobody is let in")
  func staleList() async throws {
    try await RunningAgent.with(
      revocations: { list, authority in
        ListedSerials(serials: [], nextUpdate: Date(timeIntervalSinceNow: -60))
      },
      configure: { configuration, scratch in
        configuration.revoked = try scratch.write("LIST\n", to: "crl.pem")
      }
    ) { agent in
      let (status, body) = try await agent.curl("/v1/facts")
      #expect(status == 403)
      #expect(body.contains("out of date"))
    }
  }

  @Test("TLS older than 1.2 is not spoken")
  func oldTLS() async throws {
    try await RunningAgent.with { agent in
      let old = ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]
      let refused = try await agent.curl("/healthz", as: nil, old).status
      #expect(refused == 0)
      #expect(try await agent.curl("/healthz", as: nil, ["--tls-max", "1.2"]).status == 200)
    }
  }

  @Test("A new certificate is shown to new connections; one that does not fit changes nothing")
  func renewal() async throws {
    let authority = try await Authority.shared.value
    let scratch = try Scratch()
    let pair = authority.pair("agent")
    try FileManager.default.copyItem(atPath: pair.certificate, toPath: scratch.file("own.pem"))
    try FileManager.default.copyItem(atPath: pair.key, toPath: scratch.file("own.key"))
    try await authority.issue("renewed", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth")
    try await RunningAgent.with(configure: { configuration, _ in
      configuration.certificate = scratch.file("own.pem")
      configuration.key = scratch.file("own.key")
    }) { agent in
      @Sendable func shown() async throws -> String {
        let ran = try await run([
          "openssl", "s_client", "-connect", "127.0.0.1:\(agent.port)", "-CAfile", authority.root,
        ])
        return ran.output
      }
      #expect(try await shown().contains("CN = agent"))
      // Certificate first: for a while it does not fit the key.
      try Data(contentsOf: URL(filePath: authority.pair("renewed").certificate)).write(
        to: URL(filePath: scratch.file("own.pem")))
      try await eventually("the misfit is seen") { agent.log.text.contains("can't be used") }
      #expect(try await shown().contains("CN = agent"))
      try Data(contentsOf: URL(filePath: authority.pair("renewed").key)).write(
        to: URL(filePath: scratch.file("own.key")))
      try await eventually("the new certificate is shown") { try await shown().contains("CN = renewed") }
    }
  }
}
