import FoundationEssentials
import SwiftASN1
import Testing

@testable import Certificates

@Suite("Times in certificates and lists")
struct TimeTests {
  private func written(_ wall: Int64) throws -> (text: String, node: ASN1Node) {
    var coder = DER.Serializer()
    try CertificateTime.append(wall, to: &coder)
    let node = try DER.parse(coder.serializedBytes)
    return (String(decoding: coder.serializedBytes.dropFirst(2), as: UTF8.self), node)
  }

  @Test("Every day from 1970 to 2110 is the calendar's, and is read as it was written")
  func days() throws {
    for day in 0..<Int64(140 * 366) {
      let wall = (day * 86_400 + day % 86_400) * 1000
      let (text, node) = try written(wall)
      let digits = CertificateTime.date(wall).formatted(.iso8601).filter { $0.isNumber } + "Z"
      #expect(text == (digits < "2050" ? String(digits.dropFirst(2)) : digits))
      #expect(try CertificateTime.wall(of: node) == wall)
    }
  }

  @Test(
    "What can't be said becomes the first or the last time that can", arguments: [Int64.min, -1, Int64.max])
  func bounds(wall: Int64) throws {
    let (_, node) = try written(wall)
    let read = try CertificateTime.wall(of: node)
    #expect(read == (wall < 0 ? 0 : 253_402_300_799_000))
    #expect(CertificateTime.wall(Date(timeIntervalSince1970: Double(wall))) == read)
  }

  @Test(
    "Times that RFC 5280 forbids, or that there are not, are refused",
    arguments: [
      (0x17, "691231235959Z"), (0x17, "260230000000Z"), (0x17, "2602010000Z"), (0x17, "260201000000+0100"),
      (0x18, "19691231235959Z"), (0x18, "20500101000000.5Z"), (0x18, "20501301000000Z"), (0x18, ""),
      (0x04, "260201000000Z"),
    ] as [(UInt8, String)])
  func refused(tag: UInt8, text: String) throws {
    let node = try DER.parse([tag, UInt8(text.utf8.count)] + Array(text.utf8))
    #expect(throws: (any Error).self) { try CertificateTime.wall(of: node) }
  }
}
