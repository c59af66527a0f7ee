import RolloutModel

/// Why something was not done on a host.
struct Obstacle: Error {
  /// For people; escaped for a terminal.
  var text: String
  /// Whether the host surely did nothing.
  var isUnasked = false

  /// An answer that fits no question.
  static let strange = Obstacle(text: "the host program gave another answer than was asked for")

  init(text: String, isUnasked: Bool = false) {
    self.text = text
    self.isUnasked = isUnasked
  }

  /// What the host program says.
  init(_ failure: HostFailure) {
    text = escapedForTerminal(
      failure.hint.isEmpty ? failure.message : "\(failure.message); \(failure.hint)", limit: 2000)
    isUnasked = [.invalid, .unsupported, .notFound].contains(failure.code)
  }
}
