/// Policies that must be refused.
package enum BadPolicies {
  package static var all: [BadFile] { shape + waves + times + amounts + hostile }

  private static func with(_ line: String) -> String { "policy: p\nwaves: [{name: a, hosts: 100%}]\n" + line }
  private static func wave(_ fields: String) -> String { "policy: p\nwaves:\n  - {name: a, \(fields)}" }

  package static let shape = [
    BadFile(
      "unknown key", with("bugdet: {canary: 0}"), at: "3:1", says: "\"bugdet\"", "did you mean budget?"),
    BadFile("unknown key, nothing near", with("colour: red"), at: "3:1", says: "its keys are policy, waves"),
    BadFile("unknown wave key", wave("hosts: 100%, aprove: true"), at: "3:28", says: "did you mean approve?"),
    BadFile("unknown gate key", with("gate: {sucesses: 3}"), at: "3:8", says: "did you mean successes?"),
    BadFile("duplicate key", with("on_breach: halt\non_breach: rollback"), at: "4:1", says: "line 3 already"),
    BadFile(
      "duplicate key in flow", with("gate: {successes: 3, interval: 1s, successes: 4}"), at: "3:36",
      says: "\"successes\""),
    BadFile(
      "quoted duplicate", with("\"partial\": true\npartial: false"), at: "4:1",
      says: "\"partial\" stands in line 3"),
    BadFile("three of a key", with("partial: true\npartial: true\npartial: true"), at: "5:1", says: "line 3"),
    BadFile("name missing", "waves: [{name: a, hosts: 100%}]", at: "1:1", says: "lacks the key \"policy\""),
    BadFile("waves missing", "policy: p", at: "1:1", says: "lacks the key \"waves\""),
    BadFile("waves null", "policy: p\nwaves:", at: "2:1", says: "waves has no value"),
    BadFile("waves empty", "policy: p\nwaves: []", at: "2:8", says: "0 entries"),
    BadFile("waves a mapping", "policy: p\nwaves: {name: a}", at: "2:8", says: "must be a list"),
    BadFile(
      "wave a word", "policy: p\nwaves: [canary]", at: "2:9", says: "a wave must be a mapping", "\"canary\""),
    BadFile("root a list", "- policy: p", at: "1:1", says: "a policy must be a mapping"),
    BadFile("root a word", "canary", at: "1:1", says: "a policy must be a mapping"),
    BadFile(
      "name with slash", "policy: ../p\nwaves: [{name: a, hosts: 100%}]", at: "1:9", says: "letters, digits"),
    BadFile("on_breach misspelt", with("on_breach: rolback"), at: "3:12", says: "did you mean rollback?"),
    BadFile("on_breach a list", with("on_breach: [halt]"), at: "3:12", says: "halt or rollback"),
    BadFile("yes for a truth value", wave("hosts: 100%, approve: yes"), at: "3:37", says: "write true"),
    BadFile("quoted truth value", with("partial: \"true\""), at: "3:10", says: "write true without quotes"),
    BadFile(
      "hooks a word", with("hooks: checks.yml"), at: "3:8", says: "hooks must be a mapping", "before_wave"),
    BadFile("hooks a list", with("hooks: [checks.yml]"), at: "3:8", says: "must be a mapping"),
    BadFile("hooks null", with("hooks:"), at: "3:1", says: "hooks has no value"),
    BadFile("no hook", with("hooks: {}"), at: "3:8", says: "hooks name no playbook", "before_wave: FILE"),
    BadFile(
      "misspelt hook", with("hooks: {befor_wave: a.yml}"), at: "3:9", says: "did you mean before_wave?"),
    BadFile("a wave's own hook", wave("hosts: 100%, before_wave: a.yml"), at: "3:28", says: "no key"),
    BadFile("hook null", with("hooks: {after_wave: }"), at: "3:9", says: "after_wave has no value"),
    BadFile("hook empty", with("hooks: {after_wave: ''}"), at: "3:21", says: "a playbook's path is empty"),
    BadFile("hook a list", with("hooks: {before_wave: [a.yml]}"), at: "3:22", says: "must be text"),
    BadFile("hook a mapping", with("hooks: {before_wave: {run: a.yml}}"), at: "3:22", says: "must be text"),
    BadFile(
      "hook too long", with("hooks: {before_wave: \(String(repeating: "a", count: 1025))}"), at: "3:22",
      says: "longer than 1024 bytes"),
    BadFile("budget a number", with("budget: 5"), at: "3:9", says: "the budget must be a mapping"),
  ]

  package static let waves = [
    BadFile("batch 0", wave("hosts: 100%, batch: 0"), at: "3:35", says: "batch is 0"),
    BadFile("batch 0%", wave("hosts: 100%, batch: 0%"), at: "3:35", says: "\"0%\"", "above 0%"),
    BadFile("batch 0.00%", wave("hosts: 100%, batch: 0.00%"), at: "3:35", says: "above 0%"),
    BadFile("hosts 101%", wave("hosts: 101%"), at: "3:22", says: "\"101%\"", "up to 100%"),
    BadFile("hosts 100.01%", wave("hosts: 100.01%"), at: "3:22", says: "up to 100%"),
    BadFile(
      "shrinking shares",
      "policy: p\nwaves:\n  - {name: a, hosts: 50%}\n  - {name: b, hosts: 10%}\n  - {name: c, hosts: 100%}",
      at: "4:22", says: "waves grow"),
    BadFile(
      "shrinking counts",
      "policy: p\nwaves:\n  - {name: a, hosts: 5}\n  - {name: b, hosts: 5}\n  - {name: c, hosts: 100%}",
      at: "4:22", says: "ends at 5", "waves grow"),
    BadFile(
      "a wave after the whole fleet",
      "policy: p\nwaves:\n  - {name: a, hosts: 100%}\n  - {name: b, hosts: 500}",
      at: "4:22", says: "waves grow"),
    BadFile("last wave short", wave("hosts: 50%"), at: "3:22", says: "50% of the fleet", "partial: true"),
    BadFile(
      "last wave short, partial false", wave("hosts: 50%") + "\npartial: false", at: "3:22",
      says: "partial: true"),
    BadFile(
      "a wave's name twice", "policy: p\nwaves:\n  - {name: a, hosts: 1}\n  - {name: a, hosts: 100%}",
      at: "4:12",
      says: "stands twice"),
    BadFile(
      "soak before the first sample", wave("hosts: 100%, soak: 200ms"), at: "3:34", says: "first sample"),
  ]

  package static let times = [
    BadFile(
      "successes 0", with("gate: {successes: 0}"), at: "3:19", says: "successes is 0", "from 1 to 1000"),
    BadFile("successes negative", with("gate: {successes: -3}"), at: "3:19", says: "successes is -3"),
    BadFile("successes half", with("gate: {successes: 1.5}"), at: "3:19", says: "no whole number"),
    BadFile("successes quoted", with("gate: {successes: \"3\"}"), at: "3:19", says: "write 3 without quotes"),
    BadFile("successes NaN", with("gate: {successes: .nan}"), at: "3:19", says: "no whole number"),
    BadFile(
      "successes beyond 64 bits", with("gate: {successes: 99999999999999999999}"), at: "3:19",
      says: "no whole number"),
    BadFile("successes octal", with("gate: {successes: 010}"), at: "3:19", says: "no whole number"),
    BadFile("interval 0", with("gate: {interval: 0s}"), at: "3:18", says: "interval is 0s"),
    BadFile("interval without unit", with("gate: {interval: 1}"), at: "3:18", says: "1s for seconds"),
    BadFile("interval negative", with("gate: {interval: -1s}"), at: "3:18", says: "no duration"),
    BadFile("interval a fraction", with("gate: {interval: 1.5s}"), at: "3:18", says: "no duration"),
    BadFile("unknown unit", with("gate: {deadline: 2min}"), at: "3:18", says: "\"2min\"", "5m"),
    BadFile(
      "timeout after deadline", with("gate: {timeout: 3m, deadline: 2m}"), at: "3:17",
      says: "longer than the gate's deadline"),
    BadFile(
      "gate that can't pass", with("gate: {successes: 200, interval: 1s, deadline: 2m}"), at: "3:48",
      says: "take 3m19s"),
    BadFile(
      "duration that overflows", with("confirm_within: 99999999999999999999d"), at: "3:17",
      says: "no duration"),
    BadFile(
      "duration of a thousand years", with("keep_old: {installed: 365000d}"), at: "3:23", says: "no duration"),
    BadFile(
      "running beyond installed", with("keep_old: {running: 8d, installed: 7d}"), at: "3:21",
      says: "installed for only 7d"),
    BadFile(
      "running beyond installed by default", with("keep_old: {installed: 10m}"), at: "3:23",
      says: "run for 1h"),
    BadFile(
      "confirm before a gate can pass", with("confirm_within: 1s"), at: "3:17", says: "never be confirmed"),
    BadFile("keep_old negative", with("keep_old: {running: -1h}"), at: "3:21", says: "no duration"),
  ]

  package static let amounts = [
    BadFile("budget negative", with("budget: {wave: -1}"), at: "3:16", says: "wave is -1"),
    BadFile("budget negative share", with("budget: {wave: -1%}"), at: "3:16", says: "\"-1%\""),
    BadFile(
      "budget NaN", with("budget: {fleet: .nan}"), at: "3:17", says: "\".nan\"", "neither a count nor a share"
    ),
    BadFile(
      "budget NaN percent", with("budget: {fleet: nan%}"), at: "3:17", says: "neither a count nor a share"),
    BadFile("budget infinite", with("budget: {fleet: .inf}"), at: "3:17", says: "neither"),
    BadFile("budget 101%", with("budget: {fleet: 101%}"), at: "3:17", says: "up to 100%"),
    BadFile("budget a word", with("budget: {fleet: some}"), at: "3:17", says: "\"some\""),
    BadFile("budget with a space", with("budget: {fleet: 5 %}"), at: "3:17", says: "\"5 %\""),
    BadFile("budget quoted number", with("budget: {fleet: '5'}"), at: "3:17", says: "write 5 without quotes"),
    BadFile("budget a list", with("budget: {fleet: [5]}"), at: "3:17", says: "not a list"),
    BadFile("budget exponent", with("budget: {fleet: 1e3}"), at: "3:17", says: "neither"),
    BadFile("more hosts than there are", wave("hosts: 99999999"), at: "3:22", says: "hosts is 99999999"),
  ]

  package static let hostile = [
    BadFile("empty", "", at: "1:1", says: "the file is empty"),
    BadFile("only a comment", "# nothing\n", at: "1:1", says: "the file is empty"),
    BadFile("only a document start", "---\n", at: "2:1", says: "must be a mapping, not nothing"),
    BadFile("two documents", with("---\npolicy: q"), at: "3:1", says: "second document"),
    BadFile("NUL", "policy: p\u{0}\nwaves: []", at: "1:10", says: "\\u{0}"),
    BadFile("escape character", "policy: \u{1B}[31mp", at: "1:9", says: "\\u{1b}"),
    BadFile("text direction override", "policy: p # \u{202E}", at: "1:13", says: "\\u{202e}"),
    BadFile(
      "escaped NUL in a name", "policy: \"p\\0\"\nwaves: [{name: a, hosts: 100%}]", at: "1:9",
      says: "control character"),
    BadFile(
      "escaped line end in a hook", with("hooks: {before_wave: \"a\\n.yml\"}"), at: "3:22",
      says: "control character"),
    BadFile("not UTF-8", bytes: Array("policy: ".utf8) + [0xC3, 0x28], at: "1:9", says: ["not UTF-8"]),
    BadFile("UTF-16", bytes: [0xFF, 0xFE, 0x70, 0x00], at: "1:1", says: ["UTF-16"]),
    BadFile("tab as indentation", "policy: p\nwaves:\n\t- {name: a}", at: "3:1", says: "tab"),
    BadFile(
      "larger than 1 MiB", String(repeating: "#", count: (1 << 20) + 1), at: "1:1", says: "larger than 1 MiB"),
    BadFile(
      "deep flow nesting", "policy: " + String(repeating: "[", count: 50_000), at: "1:40",
      says: "nested deeper than 32"),
    BadFile(
      "deep closed nesting",
      "policy: " + String(repeating: "[", count: 60) + String(repeating: "]", count: 60),
      at: "1:40", says: "nested deeper than 32"),
    BadFile("alias bomb", bomb(), at: "5:36", says: "more than 100000 values"),
    BadFile("alias as a key", with("gate: &g x\n*g : 1"), at: "4:1", says: "an alias as a key"),
    BadFile("unknown alias", with("gate: *gates"), at: "3:7", says: "no anchor \"&gates\""),
    BadFile("alias of itself", with("gate: &g {successes: *g}"), at: "3:22", says: "no anchor"),
    BadFile("tag", with("gate: !!python/object:os.system {}"), at: "3:7", says: "python/object"),
    BadFile("list as a key", with("[a, b]: 1"), at: "3:1", says: "a list or mapping as a key"),
    BadFile("empty key", with("\"\": 1"), at: "3:1", says: "a key without text"),
    BadFile("merge of a word", with("<<: word"), at: "3:5", says: "<< merges"),
    BadFile("unclosed quote", "policy: \"p", at: "1:11", says: "close the quote"),
    BadFile("unclosed bracket", "policy: p\nwaves: [{name: a, hosts: 100%}", at: "3:1", says: "not closed"),
    BadFile("second colon", "policy: p: q", at: "1:10", says: "second \": \""),
    BadFile("key without colon", with("partial"), at: "4:1", says: "without a colon"),
    BadFile("bad indentation", "policy: p\n  waves: []", at: "2:8", says: "indentation"),
    BadFile("not YAML at all", "%!PS-Adobe", at: "1:2", says: "YAML"),
  ]

  /// Nine levels of ten aliases each: a billion values from some hundred bytes.
  package static func bomb() -> String {
    var text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for (level, name) in "bcdefghi".enumerated() {
      let before = "abcdefgh"["abcdefgh".index("abcdefgh".startIndex, offsetBy: level)]
      text +=
        "\(name): &\(name) [" + Array(repeating: "*\(before)", count: 10).joined(separator: ", ") + "]\n"
    }
    return text
  }
}
