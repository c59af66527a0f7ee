import CCurl
import Glibc
import Ports
import RolloutModel

/// One libcurl easy handle and what it has brought so far. Used on the loop only; frees the handle at its end.
final class Transfer {
  /// libcurl did not take an option, or had no memory for a handle.
  struct SetupFailure: Error {
    var code: CURLcode
  }

  /// The number of the job that it serves.
  let id: UInt64
  let easy: UnsafeMutableRawPointer
  private(set) var builder = AnswerBuilder()
  /// Why the last socket could not be made or watched; 0 where all could.
  private(set) var socketError: Int32 = 0
  /// Whether the address was known well enough to make a socket.
  private(set) var hasSocket = false
  private let errorText: UnsafeMutablePointer<CChar>

  /// A handle set up for `request`, not yet begun. The request's timeout is the caller's to keep.
  init(id: UInt64, request: ProbeRequest, target: Target, userAgent: String) throws(SetupFailure) {
    guard let easy = curl_easy_init() else { throw SetupFailure(code: CURLE_OUT_OF_MEMORY) }
    self.id = id
    self.easy = easy
    errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    try setUp(target, userAgent: userAgent, isOnlyConnected: request.probe.question == .tcp)
    if case .https(_, let verify) = request.probe.question { try setUpTLS(verify: verify) }
  }

  deinit {
    curl_easy_cleanup(easy)
    errorText.deallocate()
  }

  /// The loop can't watch a socket of this transfer, for this error number.
  func noteUnwatched(_ error: Int32) { socketError = error }

  /// What libcurl said of the failure, or its general words for `code`.
  func failureText(_ code: CURLcode) -> String {
    let text = String(cString: errorText)
    return text.isEmpty ? String(cString: curl_easy_strerror(code)) : text
  }

  /// The error number of the last failed connect; 0 where there was none.
  var connectError: Int32 {
    var code = 0
    return ccurl_get_long(easy, CURLINFO_OS_ERRNO, &code) == CURLE_OK ? Int32(truncatingIfNeeded: code) : 0
  }

  /// The connection's descriptor, after a transfer that only connects.
  var activeSocket: Int32? {
    var descriptor: Int32 = -1
    guard ccurl_get_active_socket(easy, &descriptor) == CURLE_OK, descriptor >= 0 else { return nil }
    return descriptor
  }

  /// The transfer that a handle belongs to.
  static func of(_ easy: UnsafeMutableRawPointer) -> Transfer? {
    var context: UnsafeMutableRawPointer?
    guard ccurl_get_private(easy, &context) == CURLE_OK, let context else { return nil }
    return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
  }

  // MARK: Options

  private func setUp(_ target: Target, userAgent: String, isOnlyConnected: Bool) throws(SetupFailure) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    try set(CURLOPT_PRIVATE, context)
    try set(CURLOPT_ERRORBUFFER, UnsafeMutableRawPointer(errorText))
    try set(CURLOPT_NOSIGNAL, 1)
    // Forget a name lookup that is still going on at the timeout, rather than wait for its thread on the loop.
    try set(CURLOPT_QUICK_EXIT, 1)
    try set(CURLOPT_URL, target.url)
    if let socket = target.socket { try set(CURLOPT_UNIX_SOCKET_PATH, socket) }
    try set(CURLOPT_PROTOCOLS_STR, "http,https")
    try set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    try set(CURLOPT_USERAGENT, userAgent)
    // As written: `/a/../b` is the agent's to interpret.
    try set(CURLOPT_PATH_AS_IS, 1)
    try set(CURLOPT_FOLLOWLOCATION, 0)
    try set(CURLOPT_NETRC, 0)
    // Neither the environment's proxies nor any other.
    try set(CURLOPT_PROXY, "")
    try set(CURLOPT_NOPROXY, "*")
    // Connections to different hosts through tunnels look alike to libcurl's cache.
    try set(CURLOPT_FRESH_CONNECT, 1)
    // A connection that is only made must outlive its transfer, to be looked at; it's closed with the handle.
    try set(CURLOPT_FORBID_REUSE, isOnlyConnected ? 0 : 1)
    try set(CURLOPT_CONNECT_ONLY, isOnlyConnected ? 1 : 0)
    try set(CURLOPT_WRITEDATA, context)
    try set(CURLOPT_HEADERDATA, context)
    try check(ccurl_set_sink(easy, CURLOPT_WRITEFUNCTION, takeBody))
    try check(ccurl_set_sink(easy, CURLOPT_HEADERFUNCTION, takeHeader))
    try check(ccurl_set_open_socket(easy, openSocket, context))
  }

  private func setUpTLS(verify: Bool) throws(SetupFailure) {
    try set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    try set(CURLOPT_SSL_VERIFYPEER, verify ? 1 : 0)
    try set(CURLOPT_SSL_VERIFYHOST, verify ? 2 : 0)
  }

  private func set(_ option: CURLoption, _ value: Int) throws(SetupFailure) {
    try check(ccurl_set_long(easy, option, value))
  }

  private func set(_ option: CURLoption, _ value: String) throws(SetupFailure) {
    try check(ccurl_set_text(easy, option, value))
  }

  private func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer) throws(SetupFailure) {
    try check(ccurl_set_pointer(easy, option, value))
  }

  private func check(_ code: CURLcode) throws(SetupFailure) {
    if code != CURLE_OK { throw SetupFailure(code: code) }
  }

  // MARK: What libcurl calls

  fileprivate func makeSocket(_ wanted: curl_sockaddr) -> Int32 {
    let type = wanted.socktype | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(wanted.family, type, wanted.protocol)
    if descriptor < 0 { socketError = errno } else { hasSocket = true }
    return descriptor
  }

  fileprivate func take(
    _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int,
    _ taker: (inout AnswerBuilder, UnsafeRawBufferPointer) -> Bool
  ) -> Int {
    // Any other count than the one handed over ends the transfer; of nothing, nothing can be refused.
    taker(&builder, UnsafeRawBufferPointer(start: bytes, count: count)) ? count : max(0, count - 1)
  }
}

// A context is the transfer itself, unretained: whoever runs a transfer holds it until its handle has left the
// multi handle, and libcurl calls only until then. `size` is always 1.

private func takeBody(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let context else { return 0 }
  let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
  return transfer.take(bytes, count) { $0.takeBody($1) }
}

private func takeHeader(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let context else { return 0 }
  let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
  return transfer.take(bytes, count) { $0.takeHeaderLine($1) }
}

private func openSocket(
  _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype, _ wanted: UnsafeMutablePointer<curl_sockaddr>?
) -> Int32 {
  guard let context, let wanted else { return -1 }
  return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().makeSocket(wanted.pointee)
}
