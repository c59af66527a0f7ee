import FoundationEssentials
import Glibc
import Subprocess
import Synchronization
import Testing

/// An authority with certificates of every kind that clients come with.
struct Authority: Sendable {
  let scratch: Scratch

  /// A certificate with its key.
  struct Pair: Sendable {
    let certificate: String
    let key: String
  }

  var root: String { scratch.file("ca.pem") }

  func pair(_ name: String) -> Pair {
    Pair(certificate: scratch.file("\(name).pem"), key: scratch.file("\(name).key"))
  }

  /// Made once for all tests, and removed when they have ended.
  static let shared = Task {
    let authority = try await Authority.make()
    folder.withLock { $0 = authority.scratch.path }
    atexit {
      // At the process' end there is nobody to tell.
      try? FileManager.default.removeItem(atPath: Authority.folder.withLock { $0 })
    }
    return authority
  }

  private static let folder = Mutex("")

  /// Its names: `agent`, `ops` (the controller), `deploy` (by its DNS name), `other`, `expired`, `server` (no clientAuth), `plain` (no
  /// usage at all), `revoked`; and `foreign`, of another authority.
  static func make() async throws -> Authority {
    let authority = Authority(scratch: try Scratch())
    try await authority.makeRoot("ca")
    try await authority.makeRoot("foreign-ca")
    let client = "extendedKeyUsage=clientAuth"
    try await authority.issue(
      "agent", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth")
    try await authority.issue("ops", client)
    try await authority.issue(
      "deploy", "subjectAltName=DNS:deploy.example\n\(client)", commonName: "machine-7")
    try await authority.issue("other", client)
    try await authority.issue("expired", client, days: "-1")
    try await authority.issue("server", "extendedKeyUsage=serverAuth")
    try await authority.issue("plain", "basicConstraints=CA:FALSE", commonName: "ops")
    try await authority.issue("revoked", client, commonName: "ops")
    try await authority.issue("foreign", client, by: "foreign-ca", commonName: "ops")
    return authority
  }

  /// Another certificate of an authority.
  func issue(
    _ name: String, _ extensions: String, by root: String = "ca", days: String = "2",
    commonName: String? = nil
  ) async throws {
    let request = scratch.file("\(name).csr")
    try await openssl([
      "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
      scratch.file("\(name).key"), "-out", request, "-subj", "/CN=\(commonName ?? name)",
    ])
    let file = try scratch.write(extensions + "\n", to: "\(name).ext")
    try await openssl([
      "x509", "-req", "-in", request, "-CA", scratch.file("\(root).pem"), "-CAkey",
      scratch.file("\(root).key"),
      "-set_serial", "0x\(Self.serial(name))", "-days", days, "-extfile", file, "-out",
      scratch.file("\(name).pem"),
    ])
  }

  /// The serial number that a certificate of this name has, in hexadecimal.
  static func serial(_ name: String) -> String {
    "01" + name.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private func makeRoot(_ name: String) async throws {
    try await openssl([
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
      scratch.file("\(name).key"), "-out", scratch.file("\(name).pem"), "-days", "3", "-subj", "/CN=\(name)",
    ])
  }

  private func openssl(_ arguments: [String]) async throws {
    let ran = try await run(["openssl"] + arguments)
    try #require(ran.status.isSuccess, "\(ran.errors)")
  }
}
