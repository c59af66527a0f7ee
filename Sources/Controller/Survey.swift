import HostSteps
import Ports
import RolloutEngine
import RolloutModel

/// What a survey found on one host.
public struct SurveyedHost: Sendable {
  /// The host's place in the plan.
  public var host: Int
  /// What a preflight showed, or why the host would fail.
  public var result: Result<PreflightResult, StepFailure>
}

/// Asks hosts without changing them.
public enum Retained {
  /// The names of the hosts that the rollout has promoted, where every one of them says that it keeps nothing to go back to.
  /// Empty where one may be restored: the rollback itself says what becomes of the others.
  public static func lost(_ engine: RolloutEngine, world: World, identity: ControllerIdentity) async
    -> [String]
  {
    let plan = engine.plan
    let promoted = engine.promotedFlips
    let answers = await withTaskGroup(of: Bool.self) { group in
      let limiter = Limiter(100)
      for (host, flip) in promoted {
        group.addTask {
          await limiter.run { await isLost(plan, host, flip, world: world, identity: identity) }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    return answers.allSatisfy { $0 } ? promoted.map { plan.hosts[$0.host].name } : []
  }

  private static func isLost(
    _ plan: Plan, _ host: Int, _ flip: String, world: World, identity: ControllerIdentity
  ) async -> Bool {
    let session = HostSession(
      host: plan.hosts[host], setup: AgentSetup(agent: plan.agent, host: plan.hosts[host].name),
      channel: world.doors.channel(to: plan.hosts[host]), identity: identity, time: world.time)
    let status: AgentStatus?
    do throws(StepFailure) { status = try await session.observe() } catch { status = nil }
    await session.channel.close()
    guard let status, let last = status.flip, last.flip == flip, let from = last.from else { return false }
    return last.phase == .promoted && status.retained != from
  }
}

/// Asks every host of a plan what a rollout would find there; takes no lease and leaves nothing behind.
public enum Survey {
  /// The preflight of each host, in the plan's order.
  public static func run(_ plan: Plan, world: World, identity: ControllerIdentity) async -> [SurveyedHost] {
    let releases = ReleaseIdentities(of: plan)
    return await withTaskGroup(of: SurveyedHost.self) { group in
      let limiter = Limiter(100)
      for host in plan.hosts.indices {
        group.addTask {
          await limiter.run {
            let channel = world.doors.channel(to: plan.hosts[host])
            let session = HostSession(
              host: plan.hosts[host], setup: AgentSetup(agent: plan.agent, host: plan.hosts[host].name),
              channel: channel, identity: identity, time: world.time)
            let runner = StepRunner(
              plan: plan, releases: releases, session: session, known: HostKnowledge(flip: ""),
              prober: world.prober,
              time: world.time,
              note: { _ in })
            let result: Result<PreflightResult, StepFailure>
            do throws(StepFailure) { result = .success(try await runner.preflight()) } catch {
              result = .failure(error)
            }
            await channel.close()
            return SurveyedHost(host: host, result: result)
          }
        }
      }
      var found: [SurveyedHost] = []
      for await surveyed in group { found.append(surveyed) }
      return found.sorted { $0.host < $1.host }
    }
  }
}
