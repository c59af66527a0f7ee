import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Testing

/// A client that sends and receives at once: HTTP/1.1 over TLS, chunked both ways.
enum DuplexClient {
  typealias Channel = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>
  typealias Responses = NIOAsyncChannelInboundStream<HTTPClientResponsePart>
  typealias Requests = NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>

  static func connect(_ agent: RunningAgent, as client: String = "ops") async throws -> Channel {
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.trustRoots = .file(agent.authority.root)
    let pair = agent.authority.pair(client)
    tls.certificateChain = try NIOSSLCertificate.fromPEMFile(pair.certificate).map { .certificate($0) }
    tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: pair.key, format: .pem))
    let context = try NIOSSLContext(configuration: tls)
    return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connect(host: "127.0.0.1", port: agent.port) { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: "localhost"))
          try pipeline.addHTTPClientHandlers()
          return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
        }
      }
  }

  /// The head of a request whose body is chunked.
  static func head(_ path: String, _ method: HTTPMethod = .POST, chunked: Bool = true)
    -> HTTPClientRequestPart
  {
    var headers: HTTPHeaders = ["host": "localhost"]
    if chunked { headers.add(name: "transfer-encoding", value: "chunked") }
    return .head(HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: headers))
  }

  static func body(_ bytes: [UInt8]) -> HTTPClientRequestPart { .body(.byteBuffer(ByteBuffer(bytes: bytes))) }
}

extension NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator {
  /// The next answer's head.
  mutating func head() async throws -> HTTPResponseHead {
    guard case .head(let head) = try #require(try await next()) else { throw Unexpected() }
    return head
  }

  /// So many bytes of the body.
  mutating func bytes(_ count: Int) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      guard case .body(let piece) = try #require(try await next()) else { throw Unexpected() }
      bytes += piece.readableBytesView
    }
    #expect(bytes.count == count)
    return bytes
  }

  /// The rest of the body, to its end.
  mutating func rest() async throws -> [UInt8] {
    var bytes: [UInt8] = []
    while let part = try await next() {
      switch part {
      case .body(let piece): bytes += piece.readableBytesView
      case .end: return bytes
      case .head: throw Unexpected()
      }
    }
    throw Unexpected()
  }
}

struct Unexpected: Error {}
