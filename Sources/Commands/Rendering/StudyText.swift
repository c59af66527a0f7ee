import RolloutModel
import Simulator

/// A study as people read it.
struct StudyText {
  var study: Study
  var result: Study.Result

  func lines() -> [StyledText] {
    var lines = [
      StyledText(
        "policy \(study.policy.name) over \(Words.count(study.hosts.count, "host")): \(Words.count(result.seeds, "simulated rollout"))",
        .strong), StyledText("  \(release)"), StyledText(),
    ]
    var ends = Table(["END", "ROLLOUTS"])
    for (end, count) in result.ends.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
      ends.add([StyledText(end.replacing("_", with: " ")), StyledText("\(count)")])
    }
    lines += ends.lines() + [StyledText()]
    var table = Table(["", "LEAST", "MEDIAN", "95 OF 100", "MOST"])
    row("hosts that served the new version", result.exposed, to: &table) { "\(Int($0))" }
    row("from a client's first bad host to its being seen", result.detect, to: &table) {
      Words.span(milliseconds: Int64($0 * 1000))
    }
    row("from start to end", result.finish, to: &table) { Words.span(milliseconds: Int64($0 * 1000)) }
    lines += table.lines()
    if study.illness == nil {
      lines += [StyledText(), StyledText("stopped although the release was good: \(result.falseStops)")]
    }
    return lines
  }

  private var release: String {
    guard let illness = study.illness else { return "the release is good on every host" }
    let share = Double(illness.permille) / 10
    return
      "the release is bad (\(illness.kind.rawValue)) on \(share == share.rounded() ? "\(Int(share))" : "\(share)")% of the hosts"
  }

  private func row(
    _ name: String, _ spread: Study.Spread?, to table: inout Table, _ text: (Double) -> String
  ) {
    guard let spread else { return }
    table.add(
      [StyledText(name)]
        + [spread.least, spread.median, spread.p95, spread.most].map { StyledText(text($0)) })
  }
}
