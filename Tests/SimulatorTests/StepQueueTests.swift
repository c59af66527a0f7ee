import RolloutModel
import Testing

@testable import HostSteps

@Suite("The queue of steps that change a host")
struct StepQueueTests {
  private func job(_ host: Int, attempt: Int = 1) -> StepQueue.Job {
    StepQueue.Job(host: host, attempt: attempt, step: .start, known: HostKnowledge(flip: "f"))
  }

  @Test("As many as there are places are begun at once, the others in the order they came")
  func order() {
    var queue = StepQueue(places: 2)
    let begun = (0..<5).map { queue.admit(job($0)) }
    #expect(begun == [true, true, false, false, false])
    let then = (0..<5).map { _ in queue.next()?.host }
    #expect(then == [2, 3, 4, nil, nil])
    let later = (5..<8).map { queue.admit(job($0)) }
    #expect(later == [true, true, false])
  }

  @Test("What is withdrawn is not begun, and what is asked for anew waits at the end")
  func withdrawal() {
    var queue = StepQueue(places: 1)
    for host in 0..<4 { _ = queue.admit(job(host)) }
    let withdrawn = [1, 1, 0].map { queue.withdraw($0)?.attempt }
    #expect(withdrawn == [1, nil, nil])
    _ = queue.admit(job(1, attempt: 2))
    var begun: [Int] = []
    while let next = queue.next() { begun.append(next.host * 10 + next.attempt) }
    #expect(begun == [21, 31, 12])
  }

  @Test("A long queue keeps its order while it is worked off")
  func long() {
    var queue = StepQueue(places: 1)
    for host in 0...5000 { _ = queue.admit(job(host)) }
    let begun = (0..<5001).map { _ in queue.next()?.host }
    #expect(begun == (1...5000).map { $0 } + [nil])
  }
}
