import RolloutModel
import Testing

@testable import HostMachine

/// The program is killed before each of an operation's effects in turn, and everything goes on from what is on disk.
@Suite struct CrashTests {
  struct Scene: CustomTestStringConvertible, Sendable {
    var name: String
    var host: @Sendable () -> PretendHost
    var order: @Sendable (PretendHost) -> AgentOrder
    var testDescription: String { name }
  }

  static let scenes = [
    Scene(name: "acquire", host: { PretendHost() }, order: { _ in Orders.acquire() }),
    Scene(
      name: "start",
      host: {
        var host = PretendHost.withCandidate()
        _ = host.run(Orders.discard(.green))
        return host
      }, order: { _ in Orders.start(.green, Orders.second) }),
    Scene(
      name: "discard", host: { .withCandidate() }, order: { _ in Orders.discard(.green) }),
    Scene(
      name: "flip", host: { .withCandidate() }, order: { Orders.flip("f", from: .blue, to: .green, on: $0) }),
    Scene(name: "confirm", host: { .flipped() }, order: { _ in .confirm(Orders.key, flip: "f") }),
    Scene(name: "promote", host: { .flipped(.confirmed) }, order: { _ in .promote(Orders.key, flip: "f") }),
    Scene(
      name: "revert", host: { .flipped(.confirmed) },
      order: { _ in .revert(Orders.key, flip: "f", reason: "sick", refuse: true) }),
    Scene(
      name: "revert that starts the old side",
      host: {
        var host = PretendHost.flipped(.confirmed)
        host.blue.active = false
        return host
      }, order: { _ in .revert(Orders.key, flip: "f", reason: "sick", refuse: true) }),
    Scene(
      name: "unconfirmed",
      host: {
        var host = PretendHost.flipped()
        host.pass(.seconds(121))
        return host
      }, order: { _ in .tick }),
    Scene(
      name: "boot, armed",
      host: {
        var host = PretendHost.flipped()
        host.reboot()
        return host
      }, order: { _ in .boot }),
    Scene(
      name: "boot, confirmed",
      host: {
        var host = PretendHost.flipped(.confirmed)
        host.reboot()
        return host
      }, order: { _ in .boot }),
    Scene(
      name: "retirement",
      host: {
        var host = PretendHost.flipped(.promoted)
        _ = host.run(.retain(Orders.key, Retention(running: .zero, installed: .zero)))
        host.pass(.seconds(31))
        return host
      }, order: { _ in .tick }),
  ]

  @Test(arguments: scenes) func theSameOrderAgainEndsAsIfNothingHadHappened(_ scene: Scene) {
    var whole = scene.host()
    whole.done = []
    _ = whole.run(scene.order(whole))
    #expect(whole.wrongs == [])
    for point in whole.done.indices {
      var host = scene.host()
      let order = scene.order(host)
      host.power = point
      #expect(host.run(order) == nil)
      host.power = nil
      // The timer leaves an undo that may still be on its way alone for a moment.
      if order == .tick { host.pass(HostMachine.retryAfter) }
      _ = host.run(order)
      #expect(host.essence == whole.essence, "killed before effect \(point)")
      #expect(host.wrongs == [], "killed before effect \(point)")
    }
  }

  @Test(arguments: scenes) func withoutAControllerTheHostEndsWithOneLivingOwner(_ scene: Scene) {
    var whole = scene.host()
    whole.done = []
    _ = whole.run(scene.order(whole))
    for point in whole.done.indices {
      var host = scene.host()
      guard host.disk != nil else { return }
      host.power = point
      _ = host.run(scene.order(host))
      host.power = nil
      // Nobody asks again: only the timer, or the guard in its place, and the deadline passes.
      for _ in 0..<3 {
        host.pass(.seconds(121))
        _ = host.run(.tick)
      }
      let owner = host.disk?.owner
      #expect(owner.map { host.alive($0) } == true, "killed before effect \(point): \(host.essence)")
      #expect(host.disk?.flip?.phase != .armed, "killed before effect \(point)")
      #expect(host.disk?.flip?.phase != .reverting, "killed before effect \(point)")
      #expect(host.wrongs == [], "killed before effect \(point)")
    }
  }
}
