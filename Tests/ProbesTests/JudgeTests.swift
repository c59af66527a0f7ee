import RolloutModel
import Testing

@testable import Probes

@Suite("Judging an answer")
struct JudgeTests {
  private func outcome(
    _ body: String, status: Int = 200, fields: [Answer.Field] = [], _ expect: Expect, version: String? = nil
  ) -> Sample.Outcome {
    Judge(expect: expect, version: version)
      .outcome(of: Answer(status: status, fields: fields, body: Array(body.utf8)))
  }

  private func json(_ path: String, _ value: JSONScalar) -> Expect {
    Expect(json: [JSONField(path: path, value: value)])
  }

  @Test("Paths lead through objects and arrays")
  func paths() {
    let body = #"{"a":{"b":[{"c":"x"},7]},"0":"zero","":1,"n":null}"#
    for (path, value) in [
      ("a.b.0.c", .text("x")), ("a.b.1", .number(7)), ("0", .text("zero")), ("", .number(1)), ("n", .null),
    ] as [(String, JSONScalar)] {
      #expect(outcome(body, json(path, value)) == .healthy, "\(path)")
    }
    for path in ["a.b.2", "a.b.-1", "a.b.99999999999999999999", "a.c", "a.b.0.c.d", "b", "n.x"] {
      #expect(
        outcome(body, json(path, .text("x"))) == .unhealthy(#"\#(path) is missing, expected "x""#), "\(path)")
    }
    #expect(outcome("7", json("a", .number(7))) == .unhealthy("a is missing, expected 7"))
    #expect(outcome("[[1,2],[3]]", json("1.0", .number(3))) == .healthy)
  }

  @Test("Values of another type are other values, and the reason shows both")
  func types() {
    for (body, found) in [
      (#""true""#, #""true""#), ("1", "1"), ("null", "null"), ("[true]", "is an array"),
      ("{}", "is an object"),
      ("false", "false"), ("1.5", "1.5"),
    ] {
      #expect(
        outcome("{\"v\":\(body)}", json("v", .flag(true))) == .unhealthy("v \(found), expected true"))
    }
    #expect(outcome(#"{"v":true}"#, json("v", .number(1))) == .unhealthy("v true, expected 1"))
    #expect(outcome(#"{"v":"1"}"#, json("v", .number(1))) == .unhealthy(#"v "1", expected 1"#))
  }

  @Test("Whole numbers compare exactly, others as they are read")
  func numbers() {
    #expect(outcome(#"{"v":9007199254740993}"#, json("v", .number(9_007_199_254_740_992))) != .healthy)
    #expect(outcome(#"{"v":9007199254740992}"#, json("v", .number(9_007_199_254_740_992))) == .healthy)
    #expect(outcome(#"{"v":1.0}"#, json("v", .number(1))) == .healthy)
    #expect(outcome(#"{"v":0.1}"#, json("v", .number(0.1))) == .healthy)
    #expect(outcome(#"{"v":1e2}"#, json("v", .number(100))) == .healthy)
    #expect(outcome(#"{"v":-0}"#, json("v", .number(0))) == .healthy)
    #expect(outcome(#"{"v":1e999}"#, json("v", .number(.infinity))) != .healthy)
    #expect(outcome(#"{"v":1}"#, json("v", .number(.nan))) != .healthy)
  }

  @Test("Of equal keys the first counts, always")
  func equalKeys() {
    let body = #"{"v":"1","v":"2"}"#
    #expect(outcome(body, json("v", .text("1"))) == .healthy)
    #expect(outcome(body, json("v", .text("2"))) != .healthy)
  }

  @Test("Text compares by bytes, not by what looks the same")
  func textIsExact() {
    #expect(outcome("{\"v\":\"e\u{301}\"}", json("v", .text("\u{e9}"))) != .healthy)
    #expect(outcome("e\u{301}", Expect(body: "\u{e9}")) != .healthy)
  }

  @Test("Another version is told before anything else that is wrong")
  func versionFirst() {
    let expect = Expect(json: [
      JSONField(path: "ready", value: .flag(true)), JSONField(path: "version", value: .text("2.0.0")),
    ])
    let body = #"{"ready":false,"version":"1.0.0"}"#
    #expect(
      outcome(body, status: 503, expect, version: "2.0.0")
        == .wrongVersion(#"version "1.0.0", expected "2.0.0""#))
  }

  @Test("A version that is missing or no value at all is unhealthy, not another version")
  func versionUnknown() {
    for body in ["{}", #"{"version":null}"#, #"{"version":{}}"#, #"{"version":false}"#] {
      let outcome = outcome(body, json("version", .text("2.0.0")), version: "2.0.0")
      guard case .unhealthy = outcome else {
        Issue.record("\(body): \(outcome)")
        continue
      }
    }
    #expect(
      outcome(#"{"version":2}"#, json("version", .text("2.0.0")), version: "2.0.0")
        == .wrongVersion(#"version 2, expected "2.0.0""#))
  }

  @Test("A header field names the version, too, and any of equal fields may match")
  func headers() {
    let expect = Expect(headers: [HeaderField(name: "X-Version", value: "2.0.0")])
    let old = Answer.Field(name: "x-version", value: "1.0.0")
    let new = Answer.Field(name: "X-VERSION", value: "2.0.0")
    #expect(
      outcome("", fields: [old], expect, version: "2.0.0")
        == .wrongVersion(#"header X-Version "1.0.0", expected "2.0.0""#))
    #expect(outcome("", fields: [old, new], expect, version: "2.0.0") == .healthy)
    #expect(
      outcome("", expect, version: "2.0.0")
        == .unhealthy(#"header X-Version is missing, expected "2.0.0""#))
  }

  @Test("Nothing is expected of an empty body but what stands in the expectation")
  func emptyBody() {
    #expect(outcome("", Expect()) == .healthy)
    #expect(outcome("", Expect(body: "x")) == .unhealthy(#"body does not contain "x""#))
    #expect(outcome("", json("v", .null)) == .unhealthy("body is not JSON"))
  }
}
