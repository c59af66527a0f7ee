import FoundationEssentials

/// What can be learned of a private key file without its passphrase.
struct PrivateKeyFile: Sendable {
  let path: String
  /// The file's bytes, for libssh2.
  let text: [UInt8]
  /// Whether a passphrase guards it.
  let isEncrypted: Bool
  /// The public half, which OpenSSH's own format shows openly; nil for PEM.
  let publicKey: PublicKey?

  /// Nil for a file that is no private key.
  init?(path: String, text: [UInt8]) {
    self.path = path
    self.text = text
    let lines = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline)
    guard let first = lines.first, first.hasPrefix("-----BEGIN "), first.hasSuffix("PRIVATE KEY-----") else {
      return nil
    }
    guard first == "-----BEGIN OPENSSH PRIVATE KEY-----" else {
      isEncrypted =
        first == "-----BEGIN ENCRYPTED PRIVATE KEY-----"
        || lines.dropFirst().first.map { $0.hasPrefix("Proc-Type:") && $0.contains("ENCRYPTED") } == true
      publicKey = nil
      return
    }
    let body = lines.dropFirst().prefix { !$0.hasPrefix("-----END") }.joined()
    guard let data = Data(base64Encoded: body) else { return nil }
    var reader = WireReader(Array(data))
    guard let magic = reader.bytes(15), magic == Array("openssh-key-v1\0".utf8), let cipher = reader.text(),
      reader.string() != nil, reader.string() != nil, let count = reader.uint32(), count >= 1,
      let blob = reader.string()
    else { return nil }
    isEncrypted = cipher != "none"
    publicKey = PublicKey(blob: blob)
  }

  /// Whether it is an RSA key, as far as can be seen.
  var isRSA: Bool {
    publicKey?.isRSA ?? String(decoding: text.prefix(40), as: UTF8.self).contains("BEGIN RSA PRIVATE KEY")
  }
}
