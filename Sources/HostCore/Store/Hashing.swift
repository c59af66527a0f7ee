import Crypto
import Glibc
import RolloutModel

/// The SHA-256 of all that a file holds, and how many bytes that is; the file is left at its beginning.
func sha256(of file: Descriptor) throws(HostFailure) -> (digest: RolloutModel.Digest, bytes: Int64) {
  var hash = SHA256()
  var total: Int64 = 0
  while let piece = try readOnce(file.number, limit: 256 * 1024, what: "reading the archive"), !piece.isEmpty
  {
    hash.update(data: piece)
    total += Int64(piece.count)
  }
  guard lseek(file.number, 0, SEEK_SET) == 0 else { throw systemFailure("reading the archive") }
  guard let digest = RolloutModel.Digest(bytes: Array(hash.finalize())) else {
    throw HostFailure(.system, "SHA-256 gave no 32 bytes")
  }
  return (digest, total)
}

/// The SHA-256 of bytes in memory.
package func sha256(of bytes: [UInt8]) throws(HostFailure) -> RolloutModel.Digest {
  guard let digest = RolloutModel.Digest(bytes: Array(SHA256.hash(data: bytes))) else {
    throw HostFailure(.system, "SHA-256 gave no 32 bytes")
  }
  return digest
}
