import Testing

/// A client that begins a command and reads its first line, or nothing at all, and goes away when it is told to: not sooner or
/// later, however busy the machine is.
struct LeavingClient: Sendable {
  private static let program = """
    import os, socket, ssl, sys, time
    context = ssl.create_default_context(cafile=sys.argv[1])
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[4]))), server_hostname="localhost")
    body = sys.argv[5].encode()
    head = "POST /v1/commands HTTP/1.1\\r\\nHost: localhost\\r\\n%sContent-Length: %d\\r\\n\\r\\n" % (sys.argv[6], len(body))
    s.sendall(head.encode() + body)
    while not os.path.exists(sys.argv[7]):
        time.sleep(0.02)
    """

  /// Begins a command, and goes once the file is there.
  static func run(
    _ agent: RunningAgent, _ command: String, id: String? = nil, until file: String
  ) async throws {
    let pair = agent.authority.pair("ops")
    let header = id.map { "Run-ID: \($0)\r\n" } ?? ""
    _ = try await AgentServiceTests.run([
      "python3", "-c", program, agent.authority.root, pair.certificate, pair.key, "\(agent.port)",
      #"{"name": "\#(command)"}"#, header, file,
    ])
  }
}
