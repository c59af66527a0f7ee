import Crypto
import FoundationEssentials
import Glibc
import RolloutModel
import SystemPackage
import Testing

@testable import AgentService

@Suite("Uploads", .timeLimit(.minutes(5)), .serialized)
struct UploadTests {
  private static func digest(_ text: String) throws -> RolloutModel.Digest {
    let digest = RolloutModel.Digest(bytes: Array(SHA256.hash(data: Data(text.utf8))))
    return try #require(digest)
  }

  private static func hex(_ text: String) -> String { (try? digest(text).hex) ?? "" }

  private static func path(_ digest: String, _ size: Int, _ offset: Int = 0) -> String {
    "/v1/uploads/\(digest)?size=\(size)&offset=\(offset)"
  }

  /// By way of a file: a client that is refused early does not read to its end.
  private static func put(
    _ agent: RunningAgent, _ text: String, as digest: String? = nil, size: Int? = nil, offset: Int = 0,
    _ options: [String] = []
  ) async throws -> (status: Int, body: String) {
    let path = path(digest ?? hex(text), size ?? text.utf8.count, offset)
    return try await send(agent, text, to: path, options)
  }

  private static func send(
    _ agent: RunningAgent, _ text: String, to path: String, _ options: [String] = []
  ) async throws -> (status: Int, body: String) {
    let file = try agent.scratch.write(text, to: "sent-\(UUID().uuidString)")
    return try await agent.curl(path, ["-T", file, "-H", "Expect:"] + options)
  }

  private static func names(_ agent: RunningAgent) -> [String] {
    // There is no folder before the first upload.
    (try? FileManager.default.contentsOfDirectory(atPath: agent.scratch.file("uploads")).sorted()) ?? []
  }

  private static func content(_ agent: RunningAgent, _ name: String) throws -> String {
    try String(contentsOf: URL(filePath: agent.scratch.file("uploads/\(name)")), encoding: .utf8)
  }

  @Test("A file is brought, checked, and named by its digest; brought once more, nothing changes")
  func whole() async throws {
    try await RunningAgent.with { agent in
      let text = String(repeating: "0123456789", count: 100_000)
      let digest = Self.hex(text)
      let before = try await agent.curl("/v1/uploads/\(digest)")
      #expect(before.status == 200)
      #expect(before.body == #"{"complete":false,"have":0,"sha256":"\#(digest)"}"#)
      for _ in 0..<2 {
        let answer = try await Self.put(agent, text)
        #expect(answer.status == 200)
        #expect(answer.body == #"{"complete":true,"have":1000000,"sha256":"\#(digest)"}"#)
      }
      #expect(Self.names(agent) == [digest])
      #expect(try Self.content(agent, digest) == text)
      let permissions = try Stat(FilePath(agent.scratch.file("uploads/\(digest)"))).permissions
      #expect(permissions == [.ownerReadWrite])
      let after = try await agent.curl("/v1/uploads/\(digest)")
      #expect(after.body.contains(#""complete":true"#))
      let empty = try await Self.put(agent, "")
      #expect(empty.status == 200 && empty.body.contains(#""complete":true"#), "\(empty)")
    }
  }

  @Test(
    "What was broken off goes on where it ended; from another place it is refused, from an earlier one written anew"
  )
  func resumed() async throws {
    try await RunningAgent.with { agent in
      let text = String(repeating: "abcdefghij", count: 1000)
      let digest = Self.hex(text)
      let first = try await Self.put(agent, String(text.prefix(4000)), as: digest, size: 10_000)
      #expect(first.status == 200 && first.body.contains(#""complete":false,"have":4000"#), "\(first)")
      #expect(try await agent.curl("/v1/uploads/\(digest)").body.contains(#""complete":false,"have":4000"#))
      let gap = try await Self.put(
        agent, String(text.dropFirst(5000)), as: digest, size: 10_000, offset: 5000)
      #expect(gap.status == 409 && gap.body.contains("go on at 4000"), "\(gap)")
      let earlier = try await Self.put(
        agent, String(text.dropFirst(2000).prefix(1000)), as: digest, size: 10_000, offset: 2000)
      #expect(earlier.body.contains(#""have":3000"#), "\(earlier)")
      let last = try await Self.put(
        agent, String(text.dropFirst(3000)), as: digest, size: 10_000, offset: 3000)
      #expect(last.status == 200 && last.body.contains(#""complete":true"#), "\(last)")
      #expect(try Self.content(agent, digest) == text)
    }
  }

  @Test("Bytes of another digest get no name, and nothing of them stays")
  func mismatch() async throws {
    try await RunningAgent.with { agent in
      let answer = try await Self.put(agent, "this", as: Self.hex("that"))
      #expect(answer.status == 422 && answer.body.contains("digest_mismatch"), "\(answer)")
      #expect(Self.names(agent).isEmpty)
      #expect(try await Self.put(agent, "that").status == 200)
    }
  }

  @Test(
    "Names that are no digests are refused, and nothing is written",
    arguments: [
      "..%2f..%2fetc%2fpasswd", "../../etc/passwd", "%2fetc%2fpasswd", "passwd",
      String(repeating: "a", count: 63),
      String(repeating: "a", count: 65), String(repeating: "A", count: 64), String(repeating: "g", count: 64),
      String(repeating: "a", count: 64) + ".part", String(repeating: "a", count: 62) + "%00", "", ".", "..",
    ])
  func hostileNames(name: String) async throws {
    try await RunningAgent.with { agent in
      for method in ["PUT", "GET"] {
        let answer = try await agent.curl(
          "/v1/uploads/\(name)?size=4&offset=0", ["-X", method, "--path-as-is", "-d", "text"])
        #expect([400, 404].contains(answer.status), "\(name): \(answer)")
      }
      #expect(Self.names(agent).isEmpty)
    }
  }

  @Test("A link where a file is to be is not followed")
  func links() async throws {
    try await RunningAgent.with { agent in
      let digest = Self.hex("text")
      let target = try agent.scratch.write("untouched", to: "target")
      try FileManager.default.createDirectory(
        atPath: agent.scratch.file("uploads"), withIntermediateDirectories: true)
      try FileManager.default.createSymbolicLink(
        atPath: agent.scratch.file("uploads/\(digest).part"), withDestinationPath: target)
      let answer = try await Self.put(agent, "text")
      #expect(answer.status == 503, "\(answer)")
      #expect(try String(contentsOf: URL(filePath: target), encoding: .utf8) == "untouched")
    }
  }

  @Test(
    "Sizes and offsets that are none are refused",
    arguments: [
      "", "?size=4", "?offset=0", "?size=-4&offset=0", "?size=4&offset=-1", "?size=4&offset=5",
      "?size=1e3&offset=0",
      "?size=99999999999999999999&offset=0", "?size=4&size=4&offset=0", "?size=&offset=",
      "?size=9223372036854775807&offset=0",
    ])
  func hostileSizes(query: String) async throws {
    try await RunningAgent.with { agent in
      let answer = try await Self.send(agent, "text", to: "/v1/uploads/\(Self.hex("text"))\(query)")
      #expect([400, 409, 413].contains(answer.status), "\(answer)")
      #expect(!Self.names(agent).contains(Self.hex("text")))
    }
  }

  @Test("More than was announced, and more than is allowed, is refused")
  func bounds() async throws {
    try await RunningAgent.with(configure: { configuration, _ in
      configuration.uploadLimit = 1000
      configuration.uploadTotal = 2500
    }) { agent in
      let large = try await Self.put(agent, String(repeating: "x", count: 1001))
      #expect(large.status == 413 && large.body.contains("upload_limit"), "\(large)")
      let text = String(repeating: "y", count: 900)
      let longer = try await Self.put(agent, text, size: 500)
      #expect(longer.status == 413, "\(longer)")
      let chunked = try await Self.put(agent, text, size: 500, ["-H", "Transfer-Encoding: chunked"])
      #expect(chunked.status == 413, "\(chunked)")
      #expect(!Self.names(agent).contains(Self.hex(text)))
    }
  }

  @Test(
    "Where there is no room the oldest that nobody asked for goes; younger ones stay, and the new one is refused"
  )
  func room() throws {
    let scratch = try Scratch()
    let store = Self.store(scratch, total: 30_000, count: 3, rest: 600)
    func bring(_ text: String) throws {
      guard let arrival = try store.begin(Self.digest(text), size: Int64(text.utf8.count), offset: 0) else {
        return
      }
      try arrival.add(Array(text.utf8), at: 0)
      _ = try arrival.end()
    }
    func age(_ text: String, _ seconds: Int) throws {
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -Double(seconds))],
        ofItemAtPath: scratch.file("uploads/\(Self.hex(text))"))
    }
    let texts = ["a", "b", "c", "d"].map { String(repeating: $0, count: 8000) }
    for text in texts.prefix(3) { try bring(text) }
    let full = #expect(throws: AgentError.self) { try bring(texts[3]) }
    #expect(full?.code == "no_room")
    try age(texts[0], 1000)
    try age(texts[1], 2000)
    // Whoever asks for one keeps it.
    _ = try store.look(try Self.digest(texts[1]))
    try bring(texts[3])
    let names = try store.folder.entries().map(\.name)
    #expect(Set(names) == Set([texts[1], texts[2], texts[3]].map { Self.hex($0) }))
  }

  @Test("Parts that nobody adds to expire; one that is being sent does not, and nobody else may send it")
  func expiry() throws {
    let scratch = try Scratch()
    let store = Self.store(scratch, total: 1 << 20, count: 10, rest: 0)
    let digest = try Self.digest("some text")
    let part = scratch.file("uploads/\(digest.hex).part")
    func age() throws {
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -4000)], ofItemAtPath: part)
    }
    do {
      let arrival = try #require(try store.begin(digest, size: 9, offset: 0))
      try arrival.add(Array("some".utf8), at: 0)
      let busy = #expect(throws: AgentError.self) { _ = try store.begin(digest, size: 9, offset: 4) }
      #expect(busy?.code == "busy")
      try age()
      try store.expire()
      #expect(try store.look(digest) == .init(have: 4, isComplete: false))
      withExtendedLifetime(arrival) {}
    }
    try store.expire()
    #expect(try store.look(digest) == .init(have: 0, isComplete: false))
  }

  @Test("Whoever brings the same file at the same time either brings it or hears of the other")
  func concurrent() async throws {
    try await RunningAgent.with { agent in
      let text = String(repeating: "0123456789abcdef", count: 1 << 17)
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<6 { group.addTask { try await Self.put(agent, text).status } }
        return try await group.reduce(into: [Int]()) { $0.append($1) }
      }
      #expect(statuses.contains(200))
      #expect(statuses.allSatisfy { [200, 409].contains($0) }, "\(statuses)")
      #expect(Self.names(agent) == [Self.hex(text)])
      #expect(try Self.content(agent, Self.hex(text)) == text)
    }
  }

  @Test("A client that stops sending loses its connection; what it sent stays, and another one goes on")
  func stalled() async throws {
    var limits = Limits()
    limits.pause = .milliseconds(500)
    try await RunningAgent.with(limits: limits) { agent in
      let text = String(repeating: "z", count: 10_000)
      let digest = Self.hex(text)
      let pair = agent.authority.pair("ops")
      let client = """
        import socket, ssl, sys, time
        context = ssl.create_default_context(cafile=sys.argv[1])
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[4]))), server_hostname="localhost")
        s.sendall(("PUT " + sys.argv[5] + " HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 10000\\r\\n\\r\\n").encode() + b"z" * 6000)
        s.settimeout(20)
        print(s.recv(100))
        """
      _ = try await run([
        "python3", "-c", client, agent.authority.root, pair.certificate, pair.key, "\(agent.port)",
        Self.path(digest, 10_000),
      ])
      try await eventually("what was sent is kept") {
        try await agent.curl("/v1/uploads/\(digest)").body.contains(#""have":6000"#)
      }
      let rest = try await Self.put(
        agent, String(text.dropFirst(6000)), as: digest, size: 10_000, offset: 6000)
      #expect(rest.status == 200 && rest.body.contains(#""complete":true"#), "\(rest)")
    }
  }

  private static func store(_ scratch: Scratch, total: Int64, count: Int, rest: Int) -> UploadStore {
    UploadStore(
      folder: StateFolder(path: scratch.file("uploads")), limit: total, total: total, count: count,
      partLife: 3600,
      rest: rest)
  }
}
