import PolicyFiles
import RolloutModel
import Testing

@Suite("What a canary can tell")
struct CanaryPowerTests {
  @Test(
    "With no failure borne it is the rule of three: for n hosts about 3/n",
    arguments: [(1, 0.95), (3, 0.6316), (10, 0.2589), (100, 0.02951), (100_000, 0.00002996)])
  func ruleOfThree(hosts: Int, expected: Double) throws {
    let power = CanaryPower(hosts: hosts, borne: 0)
    let excluded = try #require(power.excludedAbove)
    #expect(abs(excluded - expected) < expected * 0.001)
    #expect(abs(power.chanceToPass(failing: excluded) - 0.05) < 1e-6)
  }

  @Test("Failures that are borne let worse releases pass: binomial, as tables have it")
  func borne() throws {
    // Upper ends of one-sided 95 % Clopper-Pearson intervals for 1 of 10 and 5 of 100.
    #expect(abs(try #require(CanaryPower(hosts: 10, borne: 1).excludedAbove) - 0.3942) < 0.0001)
    #expect(abs(try #require(CanaryPower(hosts: 100, borne: 5).excludedAbove) - 0.1023) < 0.0001)
    let even = try #require(CanaryPower(hosts: 10, borne: 1).evenChance)
    #expect(abs(CanaryPower(hosts: 10, borne: 1).chanceToPass(failing: even) - 0.5) < 1e-6)
  }

  @Test("A canary that bears all its hosts excludes nothing", arguments: [(1, 1), (5, 7)])
  func toothless(hosts: Int, borne: Int) {
    let power = CanaryPower(hosts: hosts, borne: borne)
    #expect(power.excludedAbove == nil && power.evenChance == nil && power.chanceToPass(failing: 1) == 1)
  }

  @Test("Chances are chances, whatever is asked")
  func bounds() {
    for hosts in [1, 7, 100_000] {
      for borne in [0, 1, 500] {
        let power = CanaryPower(hosts: hosts, borne: borne)
        for rate in [-1, 0, 1e-12, 0.1, 0.999_999, 1, 2] {
          #expect((0...1).contains(power.chanceToPass(failing: rate)))
        }
      }
    }
  }
}
