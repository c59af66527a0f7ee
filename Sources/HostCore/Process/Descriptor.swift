import Glibc
import RolloutModel

/// Owns one file descriptor and closes it at the end of its life.
package final class Descriptor {
  /// The number, for calls; never closed by others.
  package let number: Int32

  /// Takes over an open descriptor.
  package init(owning number: Int32) { self.number = number }

  deinit { close(number) }
}

/// The failure of a system call, from `errno`: what was being done, to what, and why it did not work.
func systemFailure(_ what: String, _ error: Int32 = errno) -> HostFailure {
  switch error {
  case ENOSPC, EDQUOT:
    HostFailure(
      .diskFull, "\(what): \(errorText(error))", hint: "free some space on that file system and try again")
  default: HostFailure(.system, "\(what): \(errorText(error))")
  }
}

/// What the system calls an error number.
func errorText(_ error: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  guard strerror_r(error, &buffer, buffer.count) == 0 else { return "error \(error)" }
  return String(decoding: buffer.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Reads what is there, at most `limit` bytes; empty at the end, nil where a descriptor that does not block has nothing yet.
func readOnce(_ descriptor: Int32, limit: Int, what: String) throws(HostFailure) -> [UInt8]? {
  var failure: Int32 = 0
  let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
    var got = -1
    repeat { got = read(descriptor, buffer.baseAddress, limit) } while got < 0 && errno == EINTR
    if got < 0 { failure = errno }
    count = max(got, 0)
  }
  if failure == EAGAIN { return nil }
  if failure != 0 { throw systemFailure(what, failure) }
  return bytes
}

/// Writes all bytes to a file.
func writeAll(_ descriptor: Int32, _ bytes: some Sequence<UInt8>, what: String) throws(HostFailure) {
  let all = Array(bytes)
  var done = 0
  while done < all.count {
    let wrote = all.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, all.count - done) }
    if wrote < 0 && errno == EINTR { continue }
    guard wrote > 0 else { throw systemFailure(what) }
    done += wrote
  }
}
