import CYAML

/// One event of a YAML stream, and where it begins.
struct YAMLEvent {
  enum Kind {
    case streamStart, streamEnd, documentStart, documentEnd
    case alias(String)
    /// `isPlain` where the text stands without quotes and without a tag.
    case scalar(String, isPlain: Bool, Properties)
    case sequenceStart(Properties)
    case mappingStart(Properties)
    case sequenceEnd, mappingEnd
  }

  /// What may stand before a value.
  struct Properties {
    var anchor: String?
    var tag: String?
  }

  var kind: Kind
  var place: Place
}

/// A text's events one by one, from libyaml.
///
/// libyaml keeps pointers into itself and into the text, so that both stay where they are until this object ends.
final class YAMLEvents {
  private let text: SourceText
  private let file: String
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let bytes: UnsafeMutableBufferPointer<UInt8>

  /// Events of a text. Errors: no memory.
  init(_ text: SourceText, file: String) throws(FileProblems) {
    self.text = text
    self.file = file
    let utf8 = Array(text.string.utf8)
    bytes = .allocate(capacity: utf8.count)
    _ = bytes.initialize(from: utf8)
    parser = .allocate(capacity: 1)
    parser.initialize(to: yaml_parser_t())
    // Zeroed, it may be deleted even where this fails.
    guard yaml_parser_initialize(parser) == 1 else {
      throw FileProblems(
        file: file, what: "no memory for reading the file", instead: "free some and try again")
    }
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
  }

  deinit {
    yaml_parser_delete(parser)
    parser.deallocate()
    bytes.deallocate()
  }

  /// The next event; after the stream's end, its end again. Errors: what is no YAML, with its place.
  func next() throws(FileProblems) -> YAMLEvent {
    var event = yaml_event_t()
    guard yaml_parser_parse(parser, &event) == 1 else {
      throw YAMLWording.problems(of: parser.pointee, text: text, file: file)
    }
    defer { yaml_event_delete(&event) }
    return YAMLEvent(kind: kind(of: event), place: Place(event.start_mark))
  }

  private func kind(of event: yaml_event_t) -> YAMLEvent.Kind {
    switch event.type {
    case YAML_STREAM_START_EVENT: return .streamStart
    case YAML_DOCUMENT_START_EVENT: return .documentStart
    case YAML_DOCUMENT_END_EVENT: return .documentEnd
    case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
    case YAML_MAPPING_END_EVENT: return .mappingEnd
    case YAML_ALIAS_EVENT: return .alias(Self.string(event.data.alias.anchor) ?? "")
    case YAML_SCALAR_EVENT:
      let scalar = event.data.scalar
      let content = String(
        decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      let properties = Self.properties(anchor: scalar.anchor, tag: scalar.tag)
      let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE && properties.tag == nil
      return .scalar(content, isPlain: isPlain, properties)
    case YAML_SEQUENCE_START_EVENT:
      let start = event.data.sequence_start
      return .sequenceStart(Self.properties(anchor: start.anchor, tag: start.tag))
    case YAML_MAPPING_START_EVENT:
      let start = event.data.mapping_start
      return .mappingStart(Self.properties(anchor: start.anchor, tag: start.tag))
    default: return .streamEnd
    }
  }

  private static func properties(
    anchor: UnsafeMutablePointer<UInt8>?, tag: UnsafeMutablePointer<UInt8>?
  ) -> YAMLEvent.Properties {
    YAMLEvent.Properties(anchor: string(anchor), tag: string(tag))
  }

  private static func string(_ pointer: UnsafeMutablePointer<UInt8>?) -> String? {
    pointer.map { String(cString: $0) }
  }
}

extension Place {
  /// A mark of libyaml, which counts lines and characters from 0.
  init(_ mark: yaml_mark_t) {
    self.init(line: Int(clamping: mark.line) &+ 1, column: Int(clamping: mark.column) &+ 1)
  }
}
