import CCurl
import Glibc
import RolloutModel

/// What libcurl's results mean for a sample, for transfers that brought no complete answer.
enum Failures {
  /// What a tunnel does whose far side refuses.
  static let closedTunnel = "tunnel closed without a byte: refused there"

  /// The outcome of a transfer that had not ended when its time was over.
  static func overdue(_ transfer: Transfer, timeout: Span, question: ProbeDefinition.Question)
    -> Sample.Outcome
  {
    if isExhausted(transfer.socketError) { return .notAsked("no socket: \(text(transfer.socketError))") }
    guard transfer.hasSocket else { return .notAsked("the address did not resolve within \(timeout)") }
    if question == .tcp { return .noAnswer("no connection within \(timeout)") }
    let hasBegun = transfer.builder.answer.status != 0
    return .noAnswer(hasBegun ? "answer not complete within \(timeout)" : "no answer within \(timeout)")
  }

  /// The outcome of a transfer that ended with `code`.
  static func outcome(of transfer: Transfer, _ code: CURLcode, isTunnel: Bool) -> Sample.Outcome {
    if isExhausted(transfer.socketError) { return .notAsked("no socket: \(text(transfer.socketError))") }
    switch code {
    case CURLE_COULDNT_CONNECT, CURLE_SEND_ERROR,
      CURLE_RECV_ERROR where transfer.builder.answer.status == 0:
      return refusal(transfer, code, isTunnel: isTunnel)
    case CURLE_COULDNT_RESOLVE_HOST:
      return .notAsked("the address does not resolve")
    case CURLE_GOT_NOTHING:
      return .noAnswer(isTunnel ? closedTunnel : "connection closed without an answer")
    case CURLE_PARTIAL_FILE:
      return .noAnswer("connection closed in the middle of the answer")
    case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL:
      return .noAnswer("the answer is not HTTP")
    case CURLE_WRITE_ERROR where transfer.builder.hasTooManyFields:
      return .noAnswer("more than \(Answer.limit) bytes of header fields")
    case CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ENGINE_INITFAILED:
      return .notAsked(words(transfer, code))
    default:
      return .noAnswer(words(transfer, code))
    }
  }

  private static func refusal(_ transfer: Transfer, _ code: CURLcode, isTunnel: Bool) -> Sample.Outcome {
    let error = transfer.connectError == 0 ? transfer.socketError : transfer.connectError
    if isTunnel {
      // Without an error, or after the connect: the tunnel did accept, and closed before a byte had come.
      return [0, EPIPE, ECONNRESET].contains(error)
        ? .noAnswer(closedTunnel) : .notAsked("tunnel: \(text(error))")
    }
    let reason = error == 0 ? words(transfer, code) : text(error)
    return isOurs(error) ? .notAsked(reason) : .noAnswer(reason)
  }

  /// This machine has no descriptor, watch or memory left.
  private static func isExhausted(_ error: Int32) -> Bool {
    [EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC].contains(error)
  }

  /// Errors of this machine or its network, which say nothing of the agent. EHOSTUNREACH is not among them: a host
  /// that is down gives it, and so does a firewall that rejects.
  private static func isOurs(_ error: Int32) -> Bool {
    isExhausted(error)
      || [EADDRNOTAVAIL, EAFNOSUPPORT, EACCES, EPERM, ENETUNREACH, ENETDOWN].contains(error)
  }

  private static func words(_ transfer: Transfer, _ code: CURLcode) -> String {
    escapedForTerminal(transfer.failureText(code), limit: 160)
  }

  private static func text(_ error: Int32) -> String { String(cString: strerror(error)).lowercased() }
}
