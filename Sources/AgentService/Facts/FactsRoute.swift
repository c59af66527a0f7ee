import HTTPTypes
import NIOPosix

/// What the host is.
struct FactsRoute: Sendable {
  let facts: HostFacts
  let limits: Limits

  var route: Route {
    Route(
      .get, "/v1/facts", limit: limits.answer,
      .init("What the host is: system, memory, disk, load", tag: "host")
    ) { _ in Answer(try await NIOThreadPool.singleton.runIfActive { facts.read() }) }
  }
}
