import EventLoop
import Glibc
import Ports
import Probes
import RolloutModel
import Synchronization
import Testing

/// The testing library has an `Expectation`, too.
typealias Expect = RolloutModel.Expectation

/// One loop for all tests, as one serves all probes of a program. It lasts as long as the process.
let sharedLoop: EventLoop = {
  do {
    return try EventLoop(name: "probes-test")
  } catch {
    preconditionFailure("no event loop: \(error)")
  }
}()

/// A prober of the test's own on the shared loop.
func makeProber(inFlight: Int = 512, tunnelGrace: Span = .seconds(1)) throws -> CurlProber {
  try #require(
    CurlProber(loop: sharedLoop, version: "1.2.3", inFlight: inFlight, tunnelGrace: tunnelGrace))
}

/// Long enough for whatever is meant to be answered, on however slow a machine.
let ample = Span.seconds(60)
/// For what is never answered.
let brief = Span(milliseconds: 200)
/// For what is answered, but never to its end: long enough for the beginning.
let patient = Span.seconds(4)

/// What comes of asking a server on loopback.
func probe(
  _ port: Int, _ question: ProbeDefinition.Question = .http(path: "/health"),
  expect: Expect = Expect(), timeout: Span = ample, version: String? = nil,
  address: String = "127.0.0.1"
) async throws -> Sample.Outcome {
  let request = ProbeRequest(
    probe: ProbeDefinition(question: question, expect: expect),
    route: .direct(address: address, port: port), timeout: timeout, version: version)
  return try await makeProber().sample(request).outcome
}

/// An HTTP answer with this body.
func page(
  _ body: String, status: String = "200 OK", fields: [String] = []
) -> String {
  (["HTTP/1.1 \(status)", "Content-Length: \(body.utf8.count)"] + fields).joined(separator: "\r\n")
    + "\r\n\r\n" + body
}

/// A folder that goes away with its owner, short enough for a socket's path.
final class Scratch {
  let path: String

  init() throws {
    var template = Array("/tmp/swy-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CallFailed(call: "mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for name in names { unlink("\(path)/\(name)") }
    rmdir(path)
  }

  /// The files that tests make here.
  let names = ["socket", "key.pem", "cert.pem"]
  func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// Removes a file.
func removeFile(_ path: String) { unlink(path) }

/// Holds up a server's thread.
func pause(milliseconds: UInt32) { usleep(milliseconds * 1000) }

/// How many were inside at once, at most.
final class Gauge: Sendable {
  private let state = Mutex((inside: 0, most: 0))

  var most: Int { state.withLock { $0.most } }
  func enter() { state.withLock { $0 = ($0.inside + 1, max($0.most, $0.inside + 1)) } }
  func leave() { state.withLock { $0.inside -= 1 } }
}
