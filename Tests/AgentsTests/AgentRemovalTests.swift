import Agents
import HostProtocol
import Ports
import RolloutModel
import Synchronization
import Testing

@Suite("An agent is taken away")
struct AgentRemovalTests {
  private static let host = Host(name: "web-1", address: "192.0.2.7")

  private func carryOut(_ removed: Removed) async throws -> AgentRemoval.Result {
    let steered = try Steered([], job: nil)
    return await AgentRemoval(
      doors: removed, look: removed, time: Clock(), definition: steered.definition
    ).carryOut(on: Self.host)
  }

  @Test("What the host tells of the end is believed")
  func isTold() async throws {
    let gone = Removed([.reply(.begun), .reply(.done)])
    #expect(try await carryOut(gone).ok)
    #expect(try await carryOut(Removed([.reply(.done)])).text == "no agent was there")
    let failed = Removed([.reply(.begun), .reply(.failed(HostFailure(.unitFailed, "it does not stop")))])
    let result = try await carryOut(failed)
    #expect(!result.ok && result.text.contains("it does not stop") && result.text.contains("--door ssh"))
  }

  @Test("A host that refuses has its agent, and is asked nothing more")
  func isRefused() async throws {
    let held = Removed([.reply(.failed(HostFailure(.leaseHeld, "somebody is at work")))])
    held.isSilent = true
    let result = try await carryOut(held)
    #expect(!result.ok && result.text == "somebody is at work")
    #expect(held.asked == [.remove(try Steered([], job: nil).definition.name)])
  }

  @Test("Silence alone is no removal, and where to look is told")
  func isSilent() async throws {
    let lost = Removed([.lost])
    lost.isSilent = true
    let result = try await carryOut(lost)
    #expect(!result.ok && result.text.contains("not known"))
    #expect(result.text.contains("answers no more") && result.text.contains("uninstall --door ssh"))
  }

  @Test("Silence after the host has said that it begins is the agent's end")
  func hasBegun() async throws {
    let begun = Removed([.reply(.begun), .lost])
    begun.isSilent = true
    let result = try await carryOut(begun)
    #expect(result.ok && result.text.contains("answers no more"))
    let alive = Removed([.reply(.begun), .lost])
    #expect(try await carryOut(alive).ok == false, "an agent that goes on answering is not gone")
  }

  @Test("A host that can be asked again says whether the agent is gone")
  func isSeen() async throws {
    let empty = AgentStatus.of(owner: nil, .active(""))
    #expect(try await carryOut(Removed([.lost, .reply(.status(empty))])).ok)
    let there = AgentStatus.of(owner: .blue, .active("1"))
    #expect(try await carryOut(Removed([.lost, .reply(.status(there))])).ok == false)
    #expect(
      try await carryOut(Removed([.reply(.begun), .lost, .reply(.status(there)), .reply(.status(empty))])).ok)
  }
}

/// A host that answers by a list, and afterwards can't be reached.
final class Removed: Doors, PretendChannel, CertificateLook, Sendable {
  enum Answer: Sendable {
    case reply(HostReply)
    case lost
  }

  private let contents: Mutex<(answers: [Answer], asked: [HostRequest], isSilent: Bool)>

  init(_ answers: [Answer]) { contents = Mutex((answers, [], false)) }

  var asked: [HostRequest] { contents.withLock { $0.asked } }
  var isSilent: Bool {
    get { contents.withLock { $0.isSilent } }
    set { contents.withLock { $0.isSilent = newValue } }
  }

  func channel(to host: Host) -> any HostChannel { self }

  func servedCertificate(at route: ProbeRoute, within: Duration) async throws(DoorError) -> [UInt8] {
    throw DoorError(.unreachable, "not asked for here")
  }

  func isClosed(at route: ProbeRoute, within: Duration) async -> Bool { isSilent }

  func call(_ request: HostRequest, within: Duration) async throws(DoorError) -> HostReply {
    let answer = contents.withLock { contents -> Answer? in
      contents.asked.append(request)
      return contents.answers.isEmpty ? nil : contents.answers.removeFirst()
    }
    switch answer {
    case .reply(let reply): return reply
    case .lost: throw DoorError(.lost, "the connection was lost")
    case nil: throw DoorError(.unreachable, "nobody is there")
    }
  }
}
