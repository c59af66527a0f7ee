import CSSH2
import Glibc

/// A key to try, in the order of trying.
enum KeyCandidate {
  case file(PrivateKeyFile)
  case agent(AgentClient.Identity)

  var isRSA: Bool {
    switch self {
    case .file(let file): file.isRSA
    case .agent(let identity): identity.key.isRSA
    }
  }

  /// For messages.
  var label: String {
    switch self {
    case .file(let file): file.path
    case .agent(let identity): "\(identity.comment) of the agent"
    }
  }

  /// All keys that can be used, RSA ones last, and one line for each that has to be passed over.
  static func plan(
    files: [PrivateKeyFile], agent: [AgentClient.Identity], identitiesOnly: Bool
  ) -> (candidates: [KeyCandidate], passedOver: [String]) {
    var candidates: [KeyCandidate] = []
    var passedOver: [String] = []
    var used: Set<PublicKey> = []
    for file in files {
      if let key = file.publicKey, let identity = agent.first(where: { $0.key == key }) {
        if used.insert(key).inserted, key.isUsable { candidates.append(.agent(identity)) }
      } else if let key = file.publicKey, !key.isUsable {
        passedOver.append("\(file.path): libssh2 can't use keys of type \(key.type)")
      } else if file.isEncrypted {
        passedOver.append("\(file.path): needs a passphrase, and the agent does not hold it")
      } else {
        candidates.append(.file(file))
      }
    }
    for identity in agent where !identitiesOnly && used.insert(identity.key).inserted {
      if identity.key.isUsable {
        candidates.append(.agent(identity))
      } else {
        passedOver.append(
          "\(identity.comment) of the agent: libssh2 can't use keys of type \(identity.key.type)")
      }
    }
    return (candidates.filter { !$0.isRSA } + candidates.filter(\.isRSA), passedOver)
  }
}

/// What libssh2's signing callback needs: it asks once, gets EAGAIN, and is called again when the agent has answered.
final class SigningRequest {
  private(set) var data: [UInt8]?
  var signature: [UInt8]?
  var hasFailed = false

  /// For libssh2, which hands the context on as a pointer to a pointer.
  static let callback:
    @convention(c) (
      OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, UnsafeMutablePointer<Int>?,
      UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Int32 = { _, signature, length, data, count, context in
      guard let pointer = context?.pointee else { return LIBSSH2_ERROR_BAD_USE }
      let request = Unmanaged<SigningRequest>.fromOpaque(pointer).takeUnretainedValue()
      if request.hasFailed { return LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED }
      guard let bytes = request.signature else {
        request.data = Array(UnsafeBufferPointer(start: data, count: count))
        return LIBSSH2_ERROR_EAGAIN
      }
      // libssh2 frees it with the session's allocator, which is malloc's.
      guard let copy = malloc(bytes.count) else { return LIBSSH2_ERROR_ALLOC }
      bytes.withUnsafeBytes {
        copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: bytes.count)
      }
      signature?.pointee = copy.assumingMemoryBound(to: UInt8.self)
      length?.pointee = bytes.count
      return 0
    }
}

/// Whether libssh2 can sign with RSA as today's sshd wants it (rsa-sha2).
let hasModernRSA = libssh2_version(0x010b00) != nil
