import Glibc
import Synchronization

@testable import SSHTransport

/// Keys of hosts and users, made once for all tests.
struct Keys: Sendable {
  enum Name: String, CaseIterable {
    case user, stranger, userECDSA, userECDSA521, userRSA, userEncrypted
    case host, otherHost, hostECDSA, hostRSA

    fileprivate var type: [String] {
      switch self {
      case .userECDSA, .hostECDSA: ["-t", "ecdsa", "-b", "256"]
      case .userECDSA521: ["-t", "ecdsa", "-b", "521"]
      case .userRSA, .hostRSA: ["-t", "rsa", "-b", "2048"]
      default: ["-t", "ed25519"]
      }
    }
  }

  static let passphrase = "a passphrase of the tests"

  private let folder: Scratch

  private init() async throws {
    folder = try Scratch()
    Keys.leftover.withLock { $0 = folder.path }
    // Static values are never freed.
    atexit { Keys.leftover.withLock { removeTree($0) } }
    for name in Name.allCases {
      let passphrase = name == .userEncrypted ? Keys.passphrase : ""
      try await run(
        ["ssh-keygen", "-q", "-N", passphrase, "-C", name.rawValue, "-f", folder.file(name.rawValue)]
          + name.type)
    }
  }

  private static let leftover = Mutex("")
  private static let making = Task { try await Keys() }

  static var all: Keys { get async throws { try await making.value } }

  func path(_ name: Name) -> String { folder.file(name.rawValue) }

  /// Type and key in base 64.
  func publicKey(_ name: Name) throws -> String {
    try folder.text(name.rawValue + ".pub").split(separator: " ").prefix(2).joined(separator: " ")
  }
}
