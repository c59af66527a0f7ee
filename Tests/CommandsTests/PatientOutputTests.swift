import Dispatch
import Synchronization
import Testing

@testable import Commands

@Suite("Output that waits for no reader")
struct PatientOutputTests {
  @Test("A reader that has stopped holds nobody up; what may be left out is, above a bound, and nothing else")
  func stopped() async {
    let reads = DispatchSemaphore(value: 0)
    let written = Mutex<[String]>([])
    let out = PatientOutput { text, _ in
      reads.wait()
      written.withLock { $0.append(text) }
    }
    let line = String(repeating: "x", count: 1000)
    let count = PatientOutput.mostWaiting / 1000 * 3
    for number in 0..<count { out.write("\(number % 10)" + line, mayBeLeftOut: true) }
    out.write("last")
    #expect(!out.isIdle)
    let leftOut = out.leftOut
    #expect((count / 2...count * 3 / 4).contains(leftOut))
    for _ in 0...count { reads.signal() }
    await out.drained()
    #expect(out.isIdle)
    let all = written.withLock { $0 }
    #expect(all.count == count - leftOut + 1 && all.last == "last")
    out.write("again")
    await out.drained()
    #expect(written.withLock { $0.last } == "again")
  }
}
