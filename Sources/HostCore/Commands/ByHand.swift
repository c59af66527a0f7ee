import HostMachine
import RolloutModel

/// The verbs for people on the host itself.
extension HostProgram {
  static func rollback(_ arguments: [String]) throws(HostFailure) -> Exit {
    let agent = try agent(arguments[0])
    var reason = "rolled back by hand on the host"
    var takeOver = false
    var rest = arguments.dropFirst()
    while let option = rest.popFirst() {
      switch option {
      case "--take-over": takeOver = true
      case "--reason":
        guard let text = rest.popFirst() else { return misuse("--reason needs a text") }
        reason = text
      default: return misuse("`\(escapedForTerminal(option))` is not understood")
      }
    }
    let hands = try HostHands()
    let driver = AgentDriver(agent: agent, folder: hands.files.state(of: agent), hands: hands)
    let answer = try driver.carryOut(.rollback(reason: reason, takeOver: takeOver), care: .rescue)
    if case .failed(let failure) = answer {
      complain(failure)
      return failure.code == .cannotRestore ? .rollbackIncomplete : .failed
    }
    say(StatusText(agent: agent, status: try HostSurvey(hands: hands).status(agent, .rescue)).afterRollback)
    return .done
  }

  static func status(_ arguments: [String]) throws(HostFailure) -> Exit {
    let agent = try agent(arguments[0])
    let json = arguments.count == 2
    if json, arguments[1] != "--json" {
      return misuse("`\(escapedForTerminal(arguments[1]))` is not understood")
    }
    let hands = try HostHands()
    let status = try HostSurvey(hands: hands).status(agent, .rescue)
    guard json else {
      say(StatusText(agent: agent, status: status).full)
      return .done
    }
    do { say(String(decoding: try canonicalJSON(status), as: UTF8.self)) } catch {
      throw HostFailure(.system, "the status can't be encoded: \(escapedForTerminal("\(error)"))")
    }
    return .done
  }
}

/// An agent's status in words.
struct StatusText {
  let agent: AgentName
  let status: AgentStatus

  var full: String {
    var lines = ["\(agent): traffic goes to \(name(status.owner))"]
    if let disturbance = status.disturbance {
      lines.append("  disturbed: \(escapedForTerminal(disturbance))")
    }
    for slot in status.slots {
      lines.append(
        "  \(slot.slot.rawValue): \(slot.release.map { "\($0.manifest.version) (\($0.digest.short))" } ?? "empty"), "
          + "\(slot.unit.unit) \(slot.unit.activeState)"
          + (slot.unit.restarts > 0 ? ", \(slot.unit.restarts) restarts" : ""))
    }
    if let adopted = status.adopted { lines.append("  adopted: \(adopted.unit) \(adopted.activeState)") }
    if let retained = status.retained { lines.append("  kept for rollback: \(retained.rawValue)") }
    if let flip = status.flip {
      lines.append(
        "  latest flip: \(name(flip.from)) → \(flip.to.rawValue), \(flip.phase.rawValue)"
          + (flip.reason.map { ": \(escapedForTerminal($0))" } ?? ""))
    }
    if let lease = status.lease {
      lines.append(
        "  lease: \(escapedForTerminal(lease.holder)), \(escapedForTerminal(lease.reason)), epoch \(lease.key.epoch), "
          + "\(lease.remaining) left")
    }
    if let quarantine = status.quarantine { lines.append("  quarantined: \(escapedForTerminal(quarantine))") }
    lines += status.lastLines.map { "  | \($0)" }
    return lines.joined(separator: "\n")
  }

  var afterRollback: String {
    let live = status.liveRelease.map { " (\($0.manifest.version))" } ?? ""
    var lines = ["\(agent): rolled back; traffic goes to \(name(status.owner))\(live)"]
    if let refused = status.flip?.release {
      lines.append("  \(refused.short) is not tried here again until `switchyard hosts clear` allows it")
    }
    return lines.joined(separator: "\n")
  }

  private func name(_ side: Side?) -> String { side?.rawValue ?? "nobody" }
}
