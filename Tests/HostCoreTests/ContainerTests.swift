import RolloutModel
import Testing

@testable import HostCore

/// Images without Podman: an archive's is what its test says.
final class PretendImages: Images, @unchecked Sendable {
  /// The image that comes of the next archive, and of what is fetched.
  var next: Digest?
  /// All names, with their images.
  var named: [ImageName: Digest] = [:]
  var loaded: [(form: ImageArchive.Form, path: String)] = []
  var fetched: [ImageReference] = []
  var unused: [Digest] = []

  func load(_ form: ImageArchive.Form, at path: String, as name: ImageName, deadline: Deadline)
    throws(HostFailure) -> Digest
  {
    loaded.append((form, path))
    guard let next else { throw HostFailure(.archiveRefused, "podman: no") }
    named[name] = next
    return next
  }

  func fetch(_ reference: ImageReference, as name: ImageName, deadline: Deadline) throws(HostFailure)
    -> FetchedImage
  {
    fetched.append(reference)
    guard let next else { throw HostFailure(.system, "podman: no") }
    named[name] = next
    return FetchedImage(image: next, isNew: true)
  }

  func has(_ image: Digest, _ name: ImageName) -> Bool { named[name] == image }
  func names(of agent: AgentName) -> [ImageName] { named.keys.filter { $0.agent == agent } }
  func remove(_ name: ImageName) { named[name] = nil }
  func removeUnused(_ image: Digest) { unused.append(image) }
}

/// Archives of images, good and bad.
struct ImageBuilder {
  var parts: [(path: String, content: [UInt8])] = []

  static func configuration(_ architecture: String = ImageBuilder.own, os: String = "linux") -> [UInt8] {
    Array(#"{"architecture":"\#(architecture)","os":"\#(os)","rootfs":{"type":"layers","diff_ids":[]}}"#.utf8)
  }

  /// This machine's architecture, as images call it.
  static var own: String { SystemFacts.kernel().architecture == "aarch64" ? "arm64" : "amd64" }

  static func oci(_ configuration: [UInt8], entries: Int = 1, type: String? = nil) throws -> ImageBuilder {
    let digest = try HostCore.sha256(of: configuration)
    let manifest = Array(#"{"schemaVersion":2,"config":{"digest":"sha256:\#(digest)"},"layers":[]}"#.utf8)
    let name = try HostCore.sha256(of: manifest)
    let mediaType = type.map { #""mediaType":"\#($0)","# } ?? ""
    let entry = #"{\#(mediaType)"digest":"sha256:\#(name)"}"#
    let index =
      #"{"schemaVersion":2,"manifests":["# + Array(repeating: entry, count: entries).joined(separator: ",")
      + "]}"
    return ImageBuilder(parts: [
      ("oci-layout", Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)), ("index.json", Array(index.utf8)),
      ("blobs/sha256/\(name)", manifest), ("blobs/sha256/\(digest)", configuration),
    ])
  }

  static func docker(_ configuration: [UInt8], name: String = "config.json", entries: Int = 1) -> ImageBuilder
  {
    let entry = #"{"Config":"\#(name)","RepoTags":["a/b:1"],"Layers":[]}"#
    let manifest = "[" + Array(repeating: entry, count: entries).joined(separator: ",") + "]"
    return ImageBuilder(parts: [("config.json", configuration), ("manifest.json", Array(manifest.utf8))])
  }

  var archive: [UInt8] {
    var tar = TarBuilder()
    for part in parts { tar.add(part.path, content: part.content) }
    return tar.finished
  }

  func replacing(_ path: String, _ content: String) -> ImageBuilder {
    ImageBuilder(parts: parts.map { $0.path == path ? (path, Array(content.utf8)) : $0 })
  }
}

extension StoreFixture {
  static let container = ContainerDefinition(image: nil, volumes: [], readOnly: true, memory: nil)

  /// A release that runs as a container.
  func image(
    _ archive: [UInt8], version: String = "1.0", _ container: ContainerDefinition = StoreFixture.container
  ) throws -> ReleaseManifest {
    var release = try release(archive, version: version, exec: "")
    release.container = container
    return release
  }
}

extension HostTests {
  @Suite("What an archive with an image says") struct ImageArchiveTests {
    private func read(_ archive: [UInt8]) throws -> ImageArchive {
      let folder = try TemporaryFolder()
      try folder.write(archive, to: "archive")
      let file = try FileTree.openFile("\(folder.path)/archive")
      return try ImageArchive(
        TarReader(BoundedReader(FileSource(file, deadline: Deadline(in: .seconds(60))), limit: 1 << 30)))
    }

    @Test("the image is the digest of its configuration, whatever the layout")
    func identity() throws {
      let configuration = ImageBuilder.configuration("arm64")
      let digest = try HostCore.sha256(of: configuration)
      let oci = try read(try ImageBuilder.oci(configuration).archive)
      #expect(oci.form == .oci && oci.image == digest && oci.architecture == "arm64")
      let docker = try read(ImageBuilder.docker(configuration).archive)
      #expect(docker.form == .docker && docker.image == digest)
      var dotted = try ImageBuilder.oci(configuration)
      dotted.parts = dotted.parts.map { ("./" + $0.path, $0.content) }
      #expect(try read(dotted.archive).image == digest)
    }

    @Test("an archive that has both layouts is read as docker save wrote it")
    func both() throws {
      let configuration = ImageBuilder.configuration()
      var both = try ImageBuilder.oci(configuration)
      both.parts += ImageBuilder.docker(configuration).parts
      #expect(try read(both.archive).form == .docker)
    }

    @Test("what is no image, or could be read in two ways, is refused")
    func refused() throws {
      let good = ImageBuilder.configuration()
      let oci = try ImageBuilder.oci(good)
      var twice = oci
      twice.parts.append(oci.parts[1])
      let blob = oci.parts[3].path
      let bad: [(ImageBuilder, String)] = [
        (ImageBuilder(parts: [("bin/agent", [1])]), "neither"),
        (try ImageBuilder.oci(good, entries: 2), "2 images"),
        (try ImageBuilder.oci(good, entries: 0), "0 images"),
        (ImageBuilder.docker(good, entries: 2), "2 images"), (twice, "twice"),
        (
          try ImageBuilder.oci(good, type: "application/vnd.oci.image.index.v1+json"), "several architectures"
        ),
        (oci.replacing(blob, "{}"), "another digest"), (oci.replacing("index.json", "{"), "can't be read"),
        (oci.replacing("index.json", #"{"manifests":[{"digest":"sha256:../../etc/passwd"}]}"#), "no SHA-256"),
        (oci.replacing("index.json", #"{"manifests":[{"digest":"md5:00"}]}"#), "no SHA-256"),
        (ImageBuilder(parts: oci.parts.dropLast()), "lacks blobs/sha256/"),
        (ImageBuilder.docker(good, name: "../../etc/passwd"), "lacks ../../etc/passwd"),
        (try ImageBuilder.oci(ImageBuilder.configuration(os: "windows")), "windows"),
        (oci.replacing("index.json", String(repeating: "[", count: 100_000)), "can't be read"),
      ]
      for (builder, said) in bad {
        let failure = failure { _ = try read(builder.archive) }
        #expect(failure?.message.contains(said) == true, "\(said): \(failure?.message ?? "not refused")")
      }
      #expect(failure { _ = try read(Array(oci.archive.dropLast(1024))) }?.code == .archiveRefused)
    }

    @Test("small files are not kept without bound")
    func bounded() throws {
      var builder = ImageBuilder()
      for number in 0..<40 { builder.parts.append(("f\(number)", [UInt8](repeating: 0, count: 1 << 20))) }
      #expect(failure { _ = try read(builder.archive) }?.message.contains("small files") == true)
    }

    @Test("an image for another architecture is refused, one that does not say is not")
    func architecture() throws {
      let other = try read(try ImageBuilder.oci(ImageBuilder.configuration("arm64")).archive)
      #expect(failure { try other.check(runsOn: "x86_64") }?.message.contains("arm64") == true)
      #expect(failure { try other.check(runsOn: "aarch64") } == nil)
      let silent = try read(try ImageBuilder.oci(Array("{}".utf8)).archive)
      #expect(failure { try silent.check(runsOn: "x86_64") } == nil)
    }
  }

  @Suite("Releases that are images, in the store") struct StoreImageTests {
    private func fixture() throws -> (StoreFixture, PretendImages) {
      let images = PretendImages()
      return (try StoreFixture(images: images), images)
    }

    @Test("an image is taken in from its archive, packed or not, and is what the archive holds")
    func taken() throws {
      let (fixture, images) = try fixture()
      let configuration = ImageBuilder.configuration()
      let digest = try HostCore.sha256(of: configuration)
      images.next = digest
      let plain = try ImageBuilder.oci(configuration).archive
      for (version, archive) in [("1.0", plain), ("2.0", try fixture.filtered(plain, by: ["gzip", "-nc"]))] {
        let release = try fixture.image(archive, version: version)
        #expect(try fixture.store.have(release) == 0)
        try fixture.send(archive, of: release)
        try fixture.store.finish(release)
        #expect(try fixture.store.image(of: release) == digest)
        #expect(try fixture.store.have(release) == Int64(archive.count))
        try fixture.store.link(fixture.agent, .blue, to: release)
        #expect(
          try FileTree.names(
            in: FileTree.openFolder("\(fixture.folder.path)/store/demo/releases/\(release.storeName)")) == [
              "image"
            ])
      }
      #expect(images.named.count == 2)
      #expect(images.loaded.map(\.form) == [.oci, .oci])
      // Podman does not read a docker save that is packed.
      #expect(images.loaded.map { $0.path.hasSuffix("/archive.tar") } == [false, true])
      #expect(fixture.folder.listing("store/demo/incoming").isEmpty)
    }

    @Test("an image that is another one than the archive holds is refused, and nothing of it stays")
    func mismatch() throws {
      let (fixture, images) = try fixture()
      images.next = try HostCore.sha256(of: [1])
      let archive = try ImageBuilder.oci(ImageBuilder.configuration()).archive
      let release = try fixture.image(archive)
      try fixture.send(archive, of: release)
      #expect(failure { try fixture.store.finish(release) }?.code == .digestMismatch)
      #expect(images.named.isEmpty && fixture.remains.isEmpty)
      #expect(try !fixture.store.contains(release))
    }

    @Test("an altered archive never gets to Podman, nor does one for another machine")
    func altered() throws {
      let (fixture, images) = try fixture()
      var archive = try ImageBuilder.oci(ImageBuilder.configuration()).archive
      let release = try fixture.image(archive)
      archive[700] ^= 1
      try fixture.send(archive, of: release)
      #expect(failure { try fixture.store.finish(release) }?.code == .digestMismatch)
      let foreign = try ImageBuilder.oci(ImageBuilder.configuration("mips")).archive
      let other = try fixture.image(foreign)
      try fixture.send(foreign, of: other)
      #expect(failure { try fixture.store.finish(other) }?.message.contains("mips") == true)
      #expect(images.loaded.isEmpty && fixture.remains.isEmpty)
    }

    @Test("a release whose image somebody has cleaned away is brought anew")
    func cleaned() throws {
      let (fixture, images) = try fixture()
      let configuration = ImageBuilder.configuration()
      images.next = try HostCore.sha256(of: configuration)
      let archive = try ImageBuilder.oci(configuration).archive
      let release = try fixture.image(archive)
      for _ in 0..<2 {
        images.named = [:]
        #expect(try fixture.store.have(release) == 0)
        #expect(failure { try fixture.store.link(fixture.agent, .blue, to: release) }?.code == .notFound)
        try fixture.send(archive, of: release)
        try fixture.store.finish(release)
        try fixture.store.link(fixture.agent, .blue, to: release)
      }
      try fixture.store.unlink(fixture.agent, .blue)
    }

    @Test("the images of releases that nothing needs any more go, also those that a cut-off work left")
    func garbage() throws {
      let (fixture, images) = try fixture()
      let configuration = ImageBuilder.configuration()
      images.next = try HostCore.sha256(of: configuration)
      let archive = try ImageBuilder.oci(configuration).archive
      let first = try fixture.image(archive, version: "1.0+a")
      let second = try fixture.image(archive, version: "1.0~a")
      for release in [first, second] {
        try fixture.send(archive, of: release)
        try fixture.store.finish(release)
      }
      images.named[try ImageName(fixture.agent, storeName: "half-done")] = images.next
      let foreign = try ImageName(try #require(AgentName("other")), storeName: "1.0")
      images.named[foreign] = images.next
      try fixture.store.collectGarbage(fixture.agent, keeping: [second])
      let kept = try ImageName(fixture.agent, storeName: second.storeName)
      #expect(Set(images.named.keys) == [kept, foreign])
      #expect(try fixture.store.contains(second))
      try fixture.store.collectGarbage(fixture.agent, keeping: [])
      #expect(Set(images.named.keys) == [foreign] && fixture.remains.isEmpty)
      #expect(fixture.folder.listing("store/demo") == ["store/demo/incoming", "store/demo/releases"])
    }

    @Test("an image is fetched where the release names one, and goes with the agent where it came for it")
    func fetched() throws {
      let (fixture, images) = try fixture()
      let digest = try HostCore.sha256(of: [2])
      let reference = try #require(ImageReference("registry.example/demo@sha256:\(digest)"))
      var release = try fixture.image(
        [], ContainerDefinition(image: reference, volumes: [], readOnly: true, memory: nil))
      release.archive = digest
      #expect(try fixture.store.have(release) == 0)
      #expect(failure { try fixture.store.finish(release) }?.code == .system)
      #expect(fixture.remains.isEmpty)
      images.next = try HostCore.sha256(of: [3])
      try fixture.store.finish(release)
      #expect(images.fetched == [reference, reference])
      #expect(try fixture.store.image(of: release) == images.next)
      try fixture.store.remove(fixture.agent)
      #expect(images.named.isEmpty && images.unused == [images.next].compactMap { $0 })
    }
  }

  @Suite("A container's unit") struct ContainerTextTests {
    private func manifest(_ container: ContainerDefinition) throws -> ReleaseManifest {
      var manifest = try StoreFixture().image([1], container)
      manifest.archiveBytes = 1
      return manifest
    }

    private func text(_ manifest: ReleaseManifest) throws -> SlotText {
      try SlotText(
        manifest, in: .blue, setup: try trafficSetup(adopt: nil), root: "/opt/switchyard/demo/blue",
        program: "/opt/switchyard/bin/switchyard-host", environmentFile: "/etc/switchyard/demo/blue.env",
        image: SlotText.Image(
          podman: "/usr/bin/podman", image: try HostCore.sha256(of: [7]), user: (id: 33, group: 34)))
    }

    private func command(_ text: SlotText) throws -> String {
      String(try #require(text.unit.split(separator: "\n").first { $0.hasPrefix("ExecStart=") }))
    }

    @Test("it runs the staged image, confined, on the host's network, as the host's user")
    func command() throws {
      let text = try text(
        try manifest(
          ContainerDefinition(
            image: nil,
            volumes: [
              ContainerVolume(source: "/var/lib/demo", target: "/data", readOnly: false),
              ContainerVolume(source: "/etc/demo", target: "/etc/demo", readOnly: true),
            ], readOnly: true, memory: 1 << 20)))
      let command = try command(text)
      for word in [
        "--name=switchyard-demo-blue", "--replace", "--rm", "--detach", "--sdnotify=conmon",
        "--cgroups=split",
        "--pull=never", "--network=host", "--user=33:34", "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--read-only", "--volume=/var/lib/demo:/data:rw", "--volume=/etc/demo:/etc/demo:ro",
      ] { #expect(command.contains(" \"\(word)\""), "\(word)") }
      #expect(command.hasPrefix("ExecStart=\"/usr/bin/podman\" "))
      #expect(command.hasSuffix(" \"--env=PORT=${SWITCHYARD_ENV_PORT}\" ${SWITCHYARD_IMAGE}"))
      #expect(text.unit.contains("\nMemoryMax=1048576\n"))
      #expect(text.unit.contains("\nType=notify\n") && text.unit.contains("\nDelegate=yes\n"))
      #expect(!text.unit.contains("{{") && text.unit.hasPrefix(SlotText.mark(text.agent, .blue)))
      #expect(text.environment.contains("SWITCHYARD_IMAGE=\"\(try HostCore.sha256(of: [7]))\"\n"))
      #expect(text.environment.contains("SWITCHYARD_ENV_PORT=\"7001\"\n"))
      let ends = text.addition.split(separator: "\n").filter { $0.hasPrefix("ExecStopPost=") }
      // The undo comes first: cleaning up may take a moment.
      #expect(ends.count == 2 && ends.first?.contains(" stopped demo blue") == true)
      #expect(ends.last?.contains("\"rm\" \"--force\" \"--ignore\"") == true)
    }

    @Test("the next release has the same unit: only its environment differs")
    func stable() throws {
      let first = try text(try manifest(StoreFixture.container))
      var next = try manifest(StoreFixture.container)
      next.version = try #require(Version("2.0"))
      next.archive = try HostCore.sha256(of: [9])
      #expect(try text(next).unit == first.unit)
      #expect(!first.unit.contains("MemoryMax"))
    }

    @Test("what an agent file says can be no more than a word of the command, or a variable's value")
    func hostile() throws {
      var manifest = try manifest(StoreFixture.container)
      let evil = "x\" --privileged ; `id` $(id) ${HOME} $HOME %n \\ '\u{e9}"
      manifest.args = [evil, "--privileged", "a\nExecStart=/bin/sh"]
      manifest.environment = [EnvironmentVariable(name: "LD_PRELOAD", value: evil)]
      let text = try text(manifest)
      let command = try command(text)
      let ending = command.components(after: "${SWITCHYARD_IMAGE} ")
      #expect(
        ending
          == "\"x\\\" --privileged ; `id` $$(id) $${HOME} $$HOME %%n \\\\ '\u{e9}\" \"--privileged\" \"a\\nExecStart=/bin/sh\""
      )
      #expect(command.contains("\"--env=LD_PRELOAD=${SWITCHYARD_ENV_LD_PRELOAD}\""))
      #expect(text.unit.split(separator: "\n").filter { $0.hasPrefix("ExecStart=") }.count == 1)
      // Podman itself gets no variable of the agent's by its own name.
      let names = text.environment.split(separator: "\n").compactMap { $0.split(separator: "=").first }
      #expect(names.allSatisfy { $0.hasPrefix("SWITCHYARD_") })
    }

    @Test("a release that asks for more than a container may have is refused on the host, whoever sent it")
    func rules() throws {
      func refused(_ change: (inout ReleaseManifest) throws -> Void) throws -> Bool {
        var manifest = try manifest(StoreFixture.container)
        try change(&manifest)
        return failure { try ReleaseRules.check(manifest) }?.code == .invalid
      }
      func volume(_ source: String, _ target: String = "/data", readOnly: Bool = false) throws -> Bool {
        try refused {
          $0.container?.volumes = [ContainerVolume(source: source, target: target, readOnly: readOnly)]
        }
      }
      #expect(try !refused { _ in })
      #expect(try !volume("/var/lib/demo/a") && !volume("/run/demo"))
      #expect(try !volume("/etc/demo", readOnly: true) && volume("/etc/demo"))
      for source in [
        "/", "/etc", "/var/lib", "/var/lib/demo2", "/var/lib/demo/../x", "/var/lib/demo/./x",
        "/var/lib//demo",
        "var/lib/demo", "/var/lib/demo:/etc:rw", "/var/lib/demo,x", "/var/lib/demo\n",
        "/run/podman/podman.sock", "",
      ] { #expect(try volume(source), "\(source)") }
      for target in ["/", "data", "/data:ro", "/proc/x", "/sys", "/dev/shm", "/a/../b", "/data,Z"] {
        #expect(try volume("/var/lib/demo", target), "\(target)")
      }
      #expect(try refused { $0.exec = "bin/agent" } && refused { $0.unitTemplate = "[Service]" })
      #expect(try refused { $0.strip = 1 } && refused { $0.container?.memory = 0 })
      #expect(try refused { $0.archiveBytes = 0 } && refused { $0.user = "0:0" })
      let reference = ImageReference("registry.example/demo@sha256:\(try HostCore.sha256(of: [2]))")
      #expect(try refused { $0.container?.image = reference })
      #expect(
        try !refused {
          $0.container?.image = reference
          $0.archive = try HostCore.sha256(of: [2])
          $0.archiveBytes = 0
        })
    }

    @Test("the unit in units/ is the one that is written")
    func shipped() throws {
      let root = #filePath.dropLast("Tests/HostCoreTests/ContainerTests.swift".count)
      let file = try #require(ProcFiles.text(root + "units/agent-container.service", limit: 1 << 20))
      #expect(file == ShippedUnits.container)
    }
  }
}

extension String {
  /// What stands behind a text; empty where it does not occur.
  fileprivate func components(after text: String) -> String {
    firstRange(of: text).map { String(self[$0.upperBound...]) } ?? ""
  }
}
