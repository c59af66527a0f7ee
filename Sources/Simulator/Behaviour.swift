/// What a release does on a host once it is started.
enum Behaviour: Hashable, Sendable {
  case good
  case neverHealthy
  /// Ends at once.
  case exits
  /// Accepts and never answers.
  case hangs
  /// Listens so many milliseconds after its start.
  case slowStart(Int64)
  /// Healthy, and says another version.
  case wrongVersion
  /// Healthy and sick by turns of so many milliseconds.
  case flapping(Int64)
  /// Ends so many milliseconds after its start.
  case crashes(Int64)
  /// Sick from so many milliseconds after its start on.
  case sickens(Int64)
}
