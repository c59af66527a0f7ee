import RolloutModel

/// Steps that change a host: so many are under way at a time, the others wait in order. A step that waits is a value and costs
/// next to nothing, so that a rollout over a hundred thousand hosts may ask for all of them at once.
package struct StepQueue: Sendable {
  /// A step that was asked for.
  package struct Job: Sendable {
    /// The host's place in the plan.
    package var host: Int
    /// Names the step among those of the host.
    package var attempt: Int
    /// What to do.
    package var step: HostStep
    /// What is known of the host.
    package var known: HostKnowledge

    /// A job from its parts.
    package init(host: Int, attempt: Int, step: HostStep, known: HostKnowledge) {
      self.host = host
      self.attempt = attempt
      self.step = step
      self.known = known
    }
  }

  private var free: Int
  /// Who waits, in order, from `head` on; also of those who were withdrawn.
  private var order: [(host: Int, attempt: Int)] = []
  private var head = 0
  /// What waits, by its host.
  private var jobs: [Int: Job] = [:]

  /// A queue in front of so many places.
  package init(places: Int = 256) { free = places }

  /// Whether the job is to be begun now; otherwise it waits.
  package mutating func admit(_ job: Job) -> Bool {
    if free > 0 {
      free -= 1
      return true
    }
    order.append((job.host, job.attempt))
    jobs[job.host] = job
    return false
  }

  /// A job has ended: the one to begin in its place, where one waits.
  package mutating func next() -> Job? {
    while head < order.count {
      let (host, attempt) = order[head]
      head += 1
      if head > 512, head * 2 > order.count {
        order.removeFirst(head)
        head = 0
      }
      if let job = jobs[host], job.attempt == attempt { return jobs.removeValue(forKey: host) }
    }
    free += 1
    return nil
  }

  /// Takes out the host's job, where it waits: it will not be begun any more.
  package mutating func withdraw(_ host: Int) -> Job? { jobs.removeValue(forKey: host) }
}
