import AgentService
import Certificates
import FoundationEssentials
import SwiftASN1
import X509

/// An authority's signed list, as the agent asks it.
struct Revocations: RevokedSerials {
  private let list: RevocationList

  /// Reads a list and checks that one of the certificates in the authority's file has signed it.
  init(_ bytes: [UInt8], authority file: [UInt8]) throws {
    var failure: (any Error)?
    for document in try PEMDocument.parseMultiple(pemString: String(decoding: file, as: UTF8.self)) {
      do {
        list = try RevocationList(bytes, issuedBy: Certificate(derEncoded: document.derBytes))
        return
      } catch {
        failure = error
      }
    }
    throw failure ?? NoAuthority()
  }

  /// There is no certificate in the authority's file.
  private struct NoAuthority: Error, CustomStringConvertible {
    var description: String { "the authority's file has no certificate to check the revocation list with" }
  }

  /// A number that no certificate may have is none of a good one.
  func isRevoked(serial: [UInt8]) -> Bool {
    CertificateSerial(bytes: serial).map { list.isRevoked($0) } ?? true
  }

  var number: Int64 { list.number }

  var nextUpdate: Date? { Date(timeIntervalSince1970: Double(list.nextUpdate) / 1000) }
}
