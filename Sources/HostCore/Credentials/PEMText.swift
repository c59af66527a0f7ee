import FoundationEssentials
import HostProtocol
import RolloutModel

/// Holds what was sent as PEM to being PEM of the right kind and of a bounded size. What it says is judged by who reads it;
/// here nothing else gets onto the host under such a name.
enum PEMText {
  /// One of the files, and what may be in it.
  struct Rule {
    var what: String
    var labels: [String]
    /// How many documents there are.
    var count: ClosedRange<Int>
    var limit: Int
  }

  static let certificate = Rule(
    what: "the certificate", labels: ["CERTIFICATE"], count: 1...8, limit: CredentialFiles.smallLimit)
  static let key = Rule(
    what: "the key", labels: ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"], count: 1...1,
    limit: CredentialFiles.smallLimit)
  static let authority = Rule(
    what: "the authority's file", labels: ["CERTIFICATE"], count: 1...8, limit: CredentialFiles.smallLimit)
  static let list = Rule(
    what: "the revocation list", labels: ["X509 CRL"], count: 1...1, limit: CredentialFiles.listLimit)

  /// Throws where the text is not what the rule says. The message quotes nothing of it.
  static func check(_ text: String, _ rule: Rule) throws(HostFailure) {
    guard !text.isEmpty, text.utf8.count <= rule.limit else {
      throw refusal(rule, "it has \(text.utf8.count) bytes, and 1 to \(rule.limit) are possible")
    }
    var label: String?
    var body = ""
    var documents = 0
    // A line break of Windows is one character in Swift: the bytes are split.
    for line in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
      let line = String(decoding: line, as: UTF8.self)
      if let open = label {
        guard line == "-----END \(open)-----" else {
          body += line
          continue
        }
        try checkBody(body, rule)
        documents += 1
        (label, body) = (nil, "")
      } else {
        label = rule.labels.first { line == "-----BEGIN \($0)-----" }
        guard label != nil else { throw refusal(rule, "there is something else than PEM in it") }
      }
    }
    guard label == nil else { throw refusal(rule, "its end is missing") }
    guard rule.count.contains(documents) else { throw refusal(rule, "\(documents) documents are in it") }
  }

  /// Base64 of something that can be DER: one SEQUENCE that is as long as it says.
  private static func checkBody(_ body: String, _ rule: Rule) throws(HostFailure) {
    guard let der = Data(base64Encoded: body).map({ Array($0) }), der.count > 4, der[0] == 0x30,
      length(of: der) == der.count
    else { throw refusal(rule, "what stands between its lines is no DER in Base64") }
  }

  /// How long a SEQUENCE is with its head; nil where the head is none.
  private static func length(of der: [UInt8]) -> Int? {
    guard let first = der.dropFirst().first else { return nil }
    if first < 0x80 { return 2 + Int(first) }
    let count = Int(first & 0x7f)
    guard (1...4).contains(count), der.count >= 2 + count else { return nil }
    return der[2..<(2 + count)].reduce(0) { $0 << 8 | Int($1) } + 2 + count
  }

  private static func refusal(_ rule: Rule, _ why: String) -> HostFailure {
    HostFailure(
      .invalid, "\(rule.what) can't be taken: \(why); nothing was changed",
      hint: "send PEM of the kind \(rule.labels.joined(separator: " or ")), and nothing beside it")
  }
}
