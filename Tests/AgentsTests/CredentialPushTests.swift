import Agents
import Certificates
import FoundationEssentials
import HostProtocol
import Ports
import RolloutModel
import Synchronization
import Testing

@Suite("A push of credentials")
struct CredentialPushTests {
  private static let host = Host(name: "web-1", address: "192.0.2.7")

  @Test("A certificate that the agent serves is settled")
  func serves() async throws {
    let site = try Site()
    let result = await site.push().bring(try site.credentials(), to: Self.host)
    #expect(result.state == .serving)
    #expect(result.changed)
    #expect(site.asked == ["place", "settle"])
  }

  @Test("One that the agent goes on not serving is put back")
  func putsBack() async throws {
    let site = try Site()
    site.reloads = false
    let result = await site.push().bring(try site.credentials(), to: Self.host)
    #expect(result.state == .putBack)
    #expect(result.text.contains("another certificate"))
    #expect(site.asked == ["place", "undo"])
  }

  @Test("Where no agent answers nothing is asked of the host, unless that is wanted")
  func asksNobody() async throws {
    let site = try Site()
    site.isUp = false
    #expect(await site.push().bring(try site.credentials(), to: Self.host).state == .refused)
    #expect(site.asked.isEmpty)
    #expect(await site.push(.unseen).bring(try site.credentials(), to: Self.host).state == .placed)
    #expect(site.asked == ["place", "settle"])
  }

  @Test("An agent of another authority is left alone, unless it is to change")
  func keepsAuthority() async throws {
    let site = try Site()
    let refused = await site.push(.sameAuthority).bring(try site.credentials(), to: Self.host)
    #expect(refused.state == .refused)
    #expect(refused.text.contains("another authority"))
    #expect(site.asked.isEmpty)
    site.showsOwn(try site.credentials().der)
    _ = try site.authority.renew(["web-1"])
    #expect(await site.push(.sameAuthority).bring(try site.credentials(), to: Self.host).state == .serving)
  }

  private func ifRunning(_ site: Site) throws -> CredentialPush {
    site.push(.sameAuthorityIfRunning(try #require(AgentName("switchyard-agent"))))
  }

  @Test(
    "An installation leaves a running agent its authority"
  )
  func keepsAuthorityOfRunning() async throws {
    let site = try Site()
    let credentials = try site.credentials()
    for push in [try ifRunning(site), site.push(.sameAuthority)] {
      let found = await push.refusal(of: credentials, on: Self.host)
      let refused = await push.bring(credentials, to: Self.host)
      #expect(found?.text == refused.text && refused.state == .refused)
      #expect(refused.text.contains("another authority"))
    }
    #expect(site.asked.isEmpty)
    site.showsOwn(credentials.der)
    _ = try site.authority.renew(["web-1"])
    let renewed = try site.credentials()
    #expect(try await ifRunning(site).refusal(of: renewed, on: Self.host) == nil)
    #expect(try await ifRunning(site).bring(renewed, to: Self.host).state == .serving)
  }

  @Test("A first install finds nobody, and places files", arguments: [nil, false])
  func placesFirst(runs: Bool?) async throws {
    let site = try Site()
    (site.isUp, site.runs) = (false, runs)
    #expect(try await ifRunning(site).refusal(of: try site.credentials(), on: Self.host) == nil)
    #expect(try await ifRunning(site).bring(try site.credentials(), to: Self.host).state == .placed)
    #expect(site.asked == ["place", "settle"])
  }

  @Test(
    "An agent that runs and can't be seen from here is left alone, whoever installed it",
    arguments: [false, true])
  func leavesUnseen(isOrdinary: Bool) async throws {
    let site = try Site()
    (site.isUp, site.runs, site.isOrdinary) = (false, isOrdinary ? nil : true, isOrdinary)
    #expect(try await ifRunning(site).refusal(of: try site.credentials(), on: Self.host) != nil)
    #expect(try await ifRunning(site).bring(try site.credentials(), to: Self.host).state == .refused)
    #expect(site.asked.isEmpty)
  }

  @Test("A new list that the agent does not read is as bad as a certificate that it does not show")
  func seesList() async throws {
    let site = try Site()
    _ = try site.authority.signList()
    let behind = await site.push().bring(try site.credentials(), to: Self.host)
    #expect(behind.state == .putBack)
    #expect(behind.text.contains("list 2"))
    site.list = .null
    #expect(await site.push().bring(try site.credentials(), to: Self.host).state == .serving)
  }

  @Test("A certificate for another host is refused, and nothing is asked")
  func refusesWrongHost() async throws {
    let site = try Site()
    let other = Host(name: "web-1", address: "192.0.2.8")
    #expect(await site.push().bring(try site.credentials(), to: other).state == .refused)
    #expect(site.asked.isEmpty)
  }

  @Test("A call that was lost is made again; one that stays lost is told to be unknown")
  func repeats() async throws {
    let site = try Site()
    site.lost = 1
    #expect(await site.push().bring(try site.credentials(), to: Self.host).state == .serving)
    #expect(site.asked == ["place", "place", "settle"])
    site.lost = 100
    let result = await site.push().bring(try site.credentials(), to: Self.host)
    #expect(result.state == .unknown)
    #expect(!result.isGood)
  }

  @Test("What the host refuses is told in its words")
  func tellsRefusals() async throws {
    let site = try Site()
    site.refusal = HostFailure(.notFound, "there is no group", hint: "prepare it")
    let result = await site.push().bring(try site.credentials(), to: Self.host)
    #expect(result.state == .refused)
    #expect(result.text == "there is no group; prepare it")
  }
}

@Suite("An agent's credentials of the authority")
struct AgentCredentialsTests {
  private func refusal(_ site: Site, _ name: String = "web-1") -> String? {
    do throws(AuthorityError) { _ = try site.authority.credentials(of: name) } catch { return error.message }
    return nil
  }

  @Test("Those that are no agent's, were revoked, have ended or were never issued are refused")
  func refuses() throws {
    let site = try Site()
    #expect(refusal(site) == nil)
    #expect(refusal(site, "nobody")?.contains("no certificate") == true)
    _ = try site.authority.issue(CertificateRequest(name: "ops", role: .controller))
    #expect(refusal(site, "ops")?.contains("controller") == true)
    _ = try site.authority.revoke("web-1", reason: .superseded)
    #expect(refusal(site)?.contains("revoked") == true)
  }

  @Test("A certificate that has ended, and a list whose time is over, are refused")
  func refusesEnded() throws {
    let site = try Site()
    site.clock.wall += 31 * 86_400_000
    #expect(refusal(site)?.contains("list") == true)
    _ = try site.authority.signList()
    #expect(refusal(site) == nil)
    site.clock.wall += 60 * 86_400_000
    #expect(refusal(site)?.contains("ended") == true)
  }

  @Test("Files that are not those of the newest certificate are refused")
  func refusesOld() throws {
    let site = try Site()
    let home = "\(site.folder)/issued/web-1"
    let old = try Data(contentsOf: URL(filePath: "\(home)/web-1.key"))
    _ = try site.authority.renew(["web-1"])
    #expect(refusal(site) == nil)
    try old.write(to: URL(filePath: "\(home)/web-1.key"))
    #expect(refusal(site)?.contains("newest") == true)
  }
}
