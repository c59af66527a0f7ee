import FoundationEssentials
import RolloutModel

/// What an archive with a container image says of it: a `docker save`, or an OCI layout. Read before Podman sees the
/// archive, so that what Podman then makes of it can be held to it.
package struct ImageArchive: Hashable, Sendable {
  /// How the archive is laid out.
  package enum Form: Hashable, Sendable {
    case docker, oci

    /// Podman's word for it.
    var transport: String { self == .docker ? "docker-archive" : "oci-archive" }
  }

  /// How it is laid out.
  package var form: Form
  /// The image's ID: the digest of its configuration.
  package var image: Digest
  /// The architecture that it was built for, as images call it; empty where it does not say.
  package var architecture: String

  /// Configurations and manifests are small; whatever is larger is a layer.
  private static let partLimit: Int64 = 1 << 20
  /// The most that is kept of them all.
  private static let keepLimit = 32 << 20

  /// Reads an archive to its end.
  init(_ reader: TarReader) throws(HostFailure) {
    let parts = try Self.smallParts(reader)
    if parts["manifest.json"] != nil {
      (form, image, architecture) = try Self.docker(parts)
    } else if parts["index.json"] != nil {
      (form, image, architecture) = try Self.oci(parts)
    } else {
      throw Self.refused(
        "it has neither a manifest.json nor an index.json at its top",
        hint: "make it with `podman save`, `docker save` or `skopeo copy … oci-archive:FILE`")
    }
  }

  /// Throws where the image was built for another architecture than this one, as `uname -m` says it.
  func check(runsOn machine: String) throws(HostFailure) {
    guard let own = Self.architectures[machine], !architecture.isEmpty, own != architecture else { return }
    throw Self.refused(
      "its image is for \(escapedForTerminal(architecture, limit: 40)), and this host is \(own)",
      hint: "name an archive for each architecture: --archive \(machine)=FILE")
  }

  private static let architectures = [
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x",
    "riscv64": "riscv64",
  ]

  private static func smallParts(_ tar: TarReader) throws(HostFailure) -> [String: [UInt8]] {
    var reader = tar
    var parts: [String: [UInt8]] = [:]
    var kept = 0
    while let entry = try reader.next() {
      guard entry.kind == .file, entry.size <= partLimit else { continue }
      let path = String(
        decoding: entry.path.starts(with: Array("./".utf8)) ? entry.path.dropFirst(2) : entry.path[...],
        as: UTF8.self)
      kept += Int(entry.size) + entry.path.count
      guard kept <= keepLimit else { throw refused("it has more than \(keepLimit) bytes of small files") }
      var bytes: [UInt8] = []
      while true {
        let piece = try reader.content(64 * 1024)
        if piece.isEmpty { break }
        bytes += piece
      }
      // Which of the two is meant is a question that two readers may answer differently.
      guard parts.updateValue(bytes, forKey: path) == nil else {
        throw refused("it has \(escapedForTerminal(path, limit: 80)) twice")
      }
    }
    return parts
  }

  private struct Saved: Decodable {
    let config: String
    enum CodingKeys: String, CodingKey { case config = "Config" }
  }

  private static func docker(
    _ parts: [String: [UInt8]]
  ) throws(HostFailure) -> (Form, Digest, String) {
    let images = try decoded([Saved].self, "manifest.json", parts)
    guard images.count == 1, let only = images.first else { throw count(images.count) }
    let (digest, architecture) = try configuration(only.config, parts)
    return (.docker, digest, architecture)
  }

  private struct Content: Decodable {
    let digest: String
    let mediaType: String?
  }

  private struct Index: Decodable { let manifests: [Content] }

  private struct Manifest: Decodable { let config: Content }

  private static func oci(
    _ parts: [String: [UInt8]]
  ) throws(HostFailure) -> (Form, Digest, String) {
    let index = try decoded(Index.self, "index.json", parts)
    guard index.manifests.count == 1, let only = index.manifests.first else {
      throw count(index.manifests.count)
    }
    if let type = only.mediaType, type.contains("index") || type.contains("list") {
      throw refused(
        "it holds one image for each of several architectures", hint: "save one architecture to each archive")
    }
    let manifest = try decoded(Manifest.self, try blob(only.digest, parts), parts)
    let (digest, architecture) = try configuration(try blob(manifest.config.digest, parts), parts)
    return (.oci, digest, architecture)
  }

  /// The path of a blob, after its bytes were found to be those of its digest.
  private static func blob(_ text: String, _ parts: [String: [UInt8]]) throws(HostFailure) -> String {
    let prefix = "sha256:"
    guard text.hasPrefix(prefix), let digest = Digest(String(text.dropFirst(prefix.count))) else {
      throw refused("it names \(escapedForTerminal(text, limit: 80)), which is no SHA-256 digest")
    }
    let path = "blobs/sha256/\(digest)"
    guard let bytes = parts[path] else { throw refused("it lacks \(path)") }
    guard try sha256(of: bytes) == digest else {
      throw HostFailure(.digestMismatch, "\(path) in the archive has another digest than its name says")
    }
    return path
  }

  private struct Configuration: Decodable {
    let architecture: String?
    let os: String?
  }

  private static func configuration(
    _ path: String, _ parts: [String: [UInt8]]
  ) throws(HostFailure) -> (Digest, String) {
    let configuration = try decoded(Configuration.self, path, parts)
    if let system = configuration.os, system != "linux" {
      throw refused("its image is for \(escapedForTerminal(system, limit: 40))")
    }
    return (try sha256(of: parts[path] ?? []), configuration.architecture ?? "")
  }

  private static func decoded<Value: Decodable>(
    _ type: Value.Type, _ path: String, _ parts: [String: [UInt8]]
  ) throws(HostFailure) -> Value {
    guard let bytes = parts[path] else { throw refused("it lacks \(escapedForTerminal(path, limit: 120))") }
    do { return try JSONDecoder().decode(type, from: Data(bytes)) } catch {
      throw refused("its \(escapedForTerminal(path, limit: 120)) can't be read")
    }
  }

  private static func count(_ images: Int) -> HostFailure {
    refused("it holds \(images) images", hint: "save one image to an archive")
  }

  private static func refused(_ why: String, hint: String = "") -> HostFailure {
    HostFailure(.archiveRefused, "the archive is no image that can be run: \(why)", hint: hint)
  }
}
