import Glibc

/// What can be seen of a file without reading it.
struct FileState: Hashable, Sendable {
  /// Tells one state of the file from another: where it lies, its size, its time; or why it can't be looked at.
  let mark: String
  /// Whether everybody may read or write it.
  let isOpenToAll: Bool

  init(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      mark = "errno \(errno)"
      isOpenToAll = false
      return
    }
    let time = status.st_mtim
    mark = "\(status.st_dev) \(status.st_ino) \(status.st_size) \(time.tv_sec) \(time.tv_nsec)"
    isOpenToAll = status.st_mode & (S_IROTH | S_IWOTH) != 0
  }
}
