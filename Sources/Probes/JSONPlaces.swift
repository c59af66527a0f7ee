import FoundationEssentials
import RolloutModel

/// What stands at some paths of a JSON text. Only what the paths lead to is decoded. The decoder bounds the depth;
/// of equal keys in one object the first counts.
struct JSONPlaces {
  /// What stands at one path.
  enum Place: Hashable {
    case missing
    case text(String)
    case integer(Int64)
    case number(Double)
    case flag(Bool)
    case null
    case array
    case object
    /// A number out of range, or text that is not valid.
    case unreadable
  }

  /// One for each path, in the paths' order.
  let found: [Place]

  /// Nil where `body` is not JSON in UTF-8, or is nested too deeply.
  init?(of paths: [String], in body: [UInt8]) {
    guard String(validating: body, as: UTF8.self) != nil else { return nil }
    let decoder = JSONDecoder()
    decoder.userInfo[Self.pathsKey] = paths.map { $0.split(separator: ".", omittingEmptySubsequences: false) }
    // Whatever the decoder refuses is not JSON; in which words it does so helps nobody at a probe.
    guard let walk = try? decoder.decode(Walk.self, from: Data(body)) else { return nil }
    found = walk.found
  }

  // The key's text is a constant that is never empty.
  private static let pathsKey = CodingUserInfoKey(rawValue: "paths").unsafelyUnwrapped

  private struct Walk: Decodable {
    let found: [Place]

    init(from decoder: any Decoder) throws {
      let paths = decoder.userInfo[JSONPlaces.pathsKey] as? [[Substring]] ?? []
      found = paths.map { Place(at: $0[...], in: decoder) }
    }
  }

  /// Any key.
  fileprivate struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Takes the place of a value that is passed over.
  fileprivate struct Ignored: Decodable {
    init(from decoder: any Decoder) {}
  }
}

extension JSONPlaces.Place {
  /// Whether it is what was expected; integers compare exactly.
  func equals(_ expected: JSONScalar) -> Bool {
    switch (self, expected) {
    case (.text(let found), .text(let text)): found.utf8.elementsEqual(text.utf8)
    case (.integer(let found), .number(let number)): Int64(exactly: number) == found
    case (.number(let found), .number(let number)): found == number
    case (.flag(let found), .flag(let flag)): found == flag
    case (.null, .null): true
    default: false
    }
  }

  /// Whether it can be some version, rather than nothing to tell one from.
  var namesVersion: Bool {
    switch self {
    case .text, .integer, .number: true
    case .missing, .flag, .null, .array, .object, .unreadable: false
    }
  }

  /// For a reason: the value, or what it is.
  var described: String {
    switch self {
    case .missing: "is missing"
    case .text(let text): JSONScalar.text(text).described
    case .integer(let integer): String(integer)
    case .number(let number): JSONScalar.number(number).described
    case .flag(let flag): String(flag)
    case .null: "null"
    case .array: "is an array"
    case .object: "is an object"
    case .unreadable: "is not readable"
    }
  }

  fileprivate init(at path: ArraySlice<Substring>, in decoder: any Decoder) {
    guard let name = path.first else {
      self.init(scalarOf: decoder)
      return
    }
    let key = JSONPlaces.Key(stringValue: String(name))
    if let object = try? decoder.container(keyedBy: JSONPlaces.Key.self) {
      let inner = object.contains(key) ? try? object.superDecoder(forKey: key) : nil
      // Each `try?` here asks whether the value is of a kind; another one is no error.
      self = inner.map { Self(at: path.dropFirst(), in: $0) } ?? .missing
    } else if name.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let index = Int(name),
      var array = try? decoder.unkeyedContainer()
    {
      while !array.isAtEnd, array.currentIndex < index {
        guard (try? array.decode(JSONPlaces.Ignored.self)) != nil else { break }
      }
      // A `try?` that failed has ended the walk: what comes after such an element can't be read either.
      let inner = array.currentIndex == index && !array.isAtEnd ? try? array.superDecoder() : nil
      self = inner.map { Self(at: path.dropFirst(), in: $0) } ?? .missing
    } else {
      self = .missing
    }
  }

  private init(scalarOf decoder: any Decoder) {
    // As above: `try?` asks whether the value is of a kind.
    if (try? decoder.unkeyedContainer()) != nil {
      self = .array
    } else if (try? decoder.container(keyedBy: JSONPlaces.Key.self)) != nil {
      self = .object
    } else if let value = try? decoder.singleValueContainer() {
      // A value decodes as its own kind alone; attempts at the others fail.
      if value.decodeNil() {
        self = .null
      } else if let text = try? value.decode(String.self) {
        self = .text(text)
      } else if let flag = try? value.decode(Bool.self) {
        self = .flag(flag)
        // Whole numbers come before others, so that they stay exact.
      } else if let integer = try? value.decode(Int64.self) {
        self = .integer(integer)
      } else if let number = try? value.decode(Double.self), number.isFinite {
        self = .number(number)
      } else {
        self = .unreadable
      }
    } else {
      self = .unreadable
    }
  }
}
