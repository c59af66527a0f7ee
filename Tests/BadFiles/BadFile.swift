/// A text that must be refused: where, and with which words.
package struct BadFile: Sendable, CustomStringConvertible {
  package let name: String
  package let bytes: [UInt8]
  package let place: String
  package let phrases: [String]

  package init(_ name: String, _ text: String, at place: String, says phrases: String...) {
    self.init(name, bytes: Array(text.utf8), at: place, says: phrases)
  }

  package init(_ name: String, bytes: [UInt8], at place: String, says phrases: [String]) {
    self.name = name
    self.bytes = bytes
    self.place = place
    self.phrases = phrases
  }

  package var description: String { name }
}
