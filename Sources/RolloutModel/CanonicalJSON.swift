import FoundationEssentials

/// The one JSON text of a value: sorted keys, no whitespace, slashes not escaped. Digests are taken of it.
public func canonicalJSON(_ value: some Encodable) throws -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  return Array(try encoder.encode(value))
}
