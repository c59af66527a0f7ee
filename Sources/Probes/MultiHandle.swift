import CCurl
import EventLoop

/// libcurl's multi handle on an event loop: it says which descriptors and which instant it waits for, the loop tells
/// it of them, and `onDone` is told the numbers of transfers that have ended. Used on the loop only.
final class MultiHandle {
  private let loop: EventLoop
  private let multi: UnsafeMutableRawPointer
  private var watches: [Int32: Watch] = [:]
  private var timer: LoopTimer?
  /// Called outside of libcurl's own callbacks, so that handles may be added and removed in it.
  var onDone: ((UInt64, CURLcode) -> Void)?

  /// Nil where there is no memory for it.
  init?(loop: EventLoop) {
    guard Self.isReady, let multi = curl_multi_init() else { return nil }
    self.loop = loop
    self.multi = multi
    let context = Unmanaged.passUnretained(self).toOpaque()
    guard ccurl_multi_set_callbacks(multi, socketChanged, timerChanged, context) == CURLM_OK else {
      return nil
    }
  }

  deinit {
    // No transfer is left, each holds its owner; the loop's closures hold this handle weakly.
    ccurl_multi_set_callbacks(multi, nil, nil, nil)
    curl_multi_cleanup(multi)
  }

  /// libcurl's set-up of the process, once.
  private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  /// Begins a transfer, which is to be held until it's removed.
  func add(_ transfer: Transfer) -> CURLMcode { curl_multi_add_handle(multi, transfer.easy) }

  /// Ends a transfer, complete or not, and closes its connection.
  func remove(_ transfer: Transfer) { curl_multi_remove_handle(multi, transfer.easy) }

  // MARK: What libcurl wants

  fileprivate func watch(_ descriptor: Int32, of easy: UnsafeMutableRawPointer?, for what: Int32) {
    var interest: Interest = []
    if what == CURL_POLL_IN || what == CURL_POLL_INOUT { interest.insert(.read) }
    if what == CURL_POLL_OUT || what == CURL_POLL_INOUT { interest.insert(.write) }
    if what == CURL_POLL_REMOVE {
      watches.removeValue(forKey: descriptor)?.cancel()
    } else if let watch = watches[descriptor] {
      watch.setInterest(interest)
    } else {
      do {
        watches[descriptor] = try loop.watch(descriptor, interest) { [weak self] _ in
          self?.act(on: descriptor)
        }
      } catch {
        // Nobody will be told of this descriptor: the transfer ends by its timeout, and says why.
        easy.flatMap(Transfer.of)?.noteUnwatched(error.code)
      }
    }
  }

  fileprivate func setTimer(_ milliseconds: Int) {
    timer?.cancel()
    timer = nil
    guard milliseconds >= 0 else { return }
    timer = loop.after(.milliseconds(milliseconds)) { [weak self] in self?.act(on: CURL_SOCKET_BAD) }
  }

  private func act(on descriptor: Int32) {
    var running: Int32 = 0
    // 0: libcurl looks by itself what the descriptor is ready for. An error is one of the whole handle's use, of which
    // there is none to be made here; what befalls a transfer comes as its result.
    curl_multi_socket_action(multi, descriptor, 0, &running)
    var code = CURLE_OK
    while let easy = ccurl_multi_next_done(multi, &code) {
      if let transfer = Transfer.of(easy) { onDone?(transfer.id, code) }
    }
  }
}

// The context is the multi handle, unretained: it clears the callbacks before its end.

private func socketChanged(
  _ easy: UnsafeMutableRawPointer?, _ descriptor: Int32, _ what: Int32, _ context: UnsafeMutableRawPointer?,
  _ own: UnsafeMutableRawPointer?
) -> Int32 {
  guard let context else { return 0 }
  Unmanaged<MultiHandle>.fromOpaque(context).takeUnretainedValue().watch(descriptor, of: easy, for: what)
  return 0
}

private func timerChanged(
  _ multi: UnsafeMutableRawPointer?, _ milliseconds: Int, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let context else { return 0 }
  Unmanaged<MultiHandle>.fromOpaque(context).takeUnretainedValue().setTimer(milliseconds)
  return 0
}
