/// The value of a variable, with its type.
public indirect enum PlaybookValue: Hashable, Sendable {
  case null
  case flag(Bool)
  case integer(Int64)
  case decimal(Double)
  case text(String)
  case list([PlaybookValue])
  case map([String: PlaybookValue])
  /// Text that Ansible decrypts with the vault's password.
  case vault(String)
  /// Text in which Ansible fills in nothing.
  case unsafe(String)

  /// Whether a vault's text is anywhere in it.
  public var holdsVault: Bool {
    switch self {
    case .vault: true
    case .list(let values): values.contains { $0.holdsVault }
    case .map(let values): values.values.contains { $0.holdsVault }
    case .null, .flag, .integer, .decimal, .text, .unsafe: false
    }
  }
}
