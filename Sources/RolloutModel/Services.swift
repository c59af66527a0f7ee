/// The name of a service unit, checked so that it may be handed to systemd: letters, digits and `:_.-`, with an instance behind
/// one `@` or none, then `.service`; at most 255 bytes. No paths, no escapes, no other kinds of units.
public struct ServiceName: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The checked text.
  public let text: String

  private static let ending = ".service"

  /// Nil where `text` is no service unit's name, or that of a template without an instance.
  public init?(_ text: String) {
    guard text.utf8.count <= 255, text.hasSuffix(Self.ending) else { return nil }
    let parts = text.dropLast(Self.ending.count).split(
      separator: "@", maxSplits: 2, omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), let first = parts.first?.utf8.first, isAlphanumeric(first),
      parts.allSatisfy({ part in
        !part.isEmpty && part.utf8.allSatisfy { isAlphanumeric($0) || ":_.-".utf8.contains($0) }
      })
    else { return nil }
    self.text = text
  }

  /// Refuses text that is no service unit's name.
  public init(from decoder: any Decoder) throws {
    self = try decodeChecked(from: decoder, as: "a service unit's name", ServiceName.init)
  }

  /// Encodes the text alone.
  public func encode(to encoder: any Encoder) throws { try encodeText(text, to: encoder) }

  /// The text.
  public var description: String { text }
}

/// What can be done with a service.
public enum ServiceAction: String, Hashable, Sendable, Codable, CaseIterable {
  /// It is looked at; nothing is changed.
  case status
  /// It is started, unless it is up.
  case start
  /// It is stopped, unless it is down.
  case stop
  /// It is stopped and started, or started where it is down.
  case restart
}

/// One service, and what is to be done with it.
public struct ServiceOrder: Hashable, Sendable, Codable {
  /// The unit, by its name or an alias.
  public var unit: ServiceName
  /// What is to be done.
  public var action: ServiceAction
  /// How long the end of it is waited for; a host holds this to ``deadlines``.
  public var deadline: Span

  /// The deadlines that a host knows.
  public static let deadlines = Span.seconds(1)...Span.seconds(600)

  /// An order from its parts.
  public init(unit: ServiceName, action: ServiceAction, deadline: Span) {
    self.unit = unit
    self.action = action
    self.deadline = deadline
  }
}

/// A service as it was seen, after what was done with it.
public struct ServiceReport: Hashable, Sendable, Codable {
  /// The unit, by its own name where an alias was asked for.
  public var unit: UnitStatus
  /// The service's `Type=`; empty where it is not loaded.
  public var type: String
  /// When it came to its state, in milliseconds since 1970 by the host's clock; nil where it was never in another one.
  public var since: Int64?
  /// How long it has been in its state; nil where it was never in another one.
  public var age: Span?
  /// How systemd's job ended: `done`, `failed`, `timeout`, `dependency`, `canceled`, …; `running` where it had not ended by the
  /// deadline, and goes on; empty where nothing was asked for but a look.
  public var job: String
  /// Whether the unit was seen as it was to be: up after a start, up anew after a restart, down after a stop. True for a look.
  public var isAsAsked: Bool
  /// What the unit said last, where it is not as asked; escaped for a terminal.
  public var lastLines: [String]

  /// A report from its parts.
  public init(
    unit: UnitStatus, type: String, since: Int64?, age: Span?, job: String, isAsAsked: Bool,
    lastLines: [String]
  ) {
    self.unit = unit
    self.type = type
    self.since = since
    self.age = age
    self.job = job
    self.isAsAsked = isAsAsked
    self.lastLines = lastLines
  }
}
