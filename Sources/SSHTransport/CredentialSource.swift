import Glibc
import Synchronization

/// Reads known hosts and key files, on the pool. Known hosts are read anew only when a file has changed.
final class CredentialSource: Sendable {
  private struct Stamp: Hashable {
    var inode: UInt
    var size: Int
    var seconds: Int
    var nanoseconds: Int
  }

  private let pool: BlockingPool
  private let home: String
  private let parsed = Mutex<[String: (stamp: Stamp, hosts: KnownHosts)]>([:])

  init(pool: BlockingPool, home: String) {
    self.pool = pool
    self.home = home
  }

  /// What is needed to connect to `target`.
  func credentials(for target: SSHTarget) async throws(SSHError) -> Credentials {
    do {
      return try await pool.run { [self] in
        var known = KnownHosts()
        let names = KnownHosts.names(host: target.address, port: target.port, alias: target.hostKeyAlias)
        for path in target.knownHostsFiles { known.add(try knownHosts(path).restricted(to: names)) }
        var credentials = Credentials(knownHosts: known, keyFiles: [], passedOver: [])
        for path in target.identityFiles { add(path, to: &credentials) }
        return credentials
      }
    } catch {
      throw target.error(.local("\(error)"))
    }
  }

  private func knownHosts(_ path: String) throws(LocalFileError) -> KnownHosts {
    var status = stat()
    guard stat(path, &status) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return KnownHosts() }
      throw LocalFileError(path: path, code: errno)
    }
    // /dev/null is how one says: none.
    guard status.st_mode & S_IFMT == S_IFREG else { return KnownHosts() }
    let stamp = Stamp(
      inode: UInt(status.st_ino), size: Int(status.st_size), seconds: status.st_mtim.tv_sec,
      nanoseconds: status.st_mtim.tv_nsec)
    if let known = parsed.withLock({ $0[path] }), known.stamp == stamp { return known.hosts }
    var hosts = KnownHosts()
    hosts.add(String(decoding: try LocalFile.contents(path, limit: 32 << 20), as: UTF8.self), file: path)
    parsed.withLock { $0[path] = (stamp, hosts) }
    return hosts
  }

  private func add(_ path: String, to credentials: inout Credentials) {
    do throws(LocalFileError) {
      guard let file = PrivateKeyFile(path: path, text: try LocalFile.contents(path, limit: 1 << 20)) else {
        credentials.passedOver.append("\(path): not a private key")
        return
      }
      credentials.keyFiles.append(file)
    } catch {
      // ssh's own default files need not be there.
      let isDefault = path.hasPrefix(home + "/.ssh/id_")
      if error.code != ENOENT || !isDefault { credentials.passedOver.append("\(error)") }
    }
  }
}
