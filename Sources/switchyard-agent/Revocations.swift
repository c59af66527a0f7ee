import AgentService
import Certificates
import FoundationEssentials

/// An authority's signed list, as the agent asks it.
struct Revocations: RevokedSerials {
  private let list: RevocationList

  /// Reads a list and checks that one of the certificates in the authority's file has signed it.
  init(_ bytes: [UInt8], authority file: [UInt8]) throws {
    list = try RevocationList(bytes, authorityFile: file)
  }

  /// A number that no certificate may have is none of a good one.
  func isRevoked(serial: [UInt8]) -> Bool {
    CertificateSerial(bytes: serial).map { list.isRevoked($0) } ?? true
  }

  var number: Int64 { list.number }

  var nextUpdate: Date? { Date(timeIntervalSince1970: Double(list.nextUpdate) / 1000) }
}
