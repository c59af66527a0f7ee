import FoundationEssentials
import Glibc
import HostProtocol
import RolloutModel
import Testing

@testable import HostCore

extension HostTests {
  @Suite("An agent's credentials on a host")
  struct CredentialStoreTests {
    private let temporary: TemporaryFolder
    private let store: CredentialStore
    private var folder: String { "\(temporary.path)/tls" }

    init() throws {
      temporary = try TemporaryFolder()
      store = CredentialStore(folder: "\(temporary.path)/tls", readers: "root")
    }

    /// Something in PEM: a SEQUENCE of zeros, as long as it says.
    private static func pem(_ label: String, _ mark: UInt8) -> String {
      let der = [0x30, 0x04, 0x02, 0x02, mark, 0x01] as [UInt8]
      return "-----BEGIN \(label)-----\n\(Data(der).base64EncodedString())\n-----END \(label)-----\n"
    }

    private static func files(_ mark: UInt8) -> CredentialFiles {
      CredentialFiles(
        certificate: pem("CERTIFICATE", mark), key: Secret(pem("PRIVATE KEY", mark)),
        authority: pem("CERTIFICATE", 100), revoked: pem("X509 CRL", mark))
    }

    private func text(_ name: String) throws -> String {
      try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
    }

    private func mode(_ name: String) -> mode_t {
      var about = stat()
      return stat("\(folder)/\(name)", &about) == 0 ? about.st_mode & 0o7777 : 0
    }

    private func refusal(_ files: CredentialFiles) -> HostFailure? {
      do throws(HostFailure) { _ = try store.carryOut(.place(files)) } catch { return error }
      return nil
    }

    @Test(
      "Files are placed with the modes that keep the key to the agent, and nothing is left beside them once settled"
    )
    func placesFiles() throws {
      let state = try store.carryOut(.place(Self.files(1)))
      #expect(state.changed && state.keepsBefore)
      #expect(mode("agent.key") == 0o640)
      #expect(mode("agent.pem") == 0o644)
      #expect(mode("") == 0o750)
      let digest = try #require(state.digest)
      #expect(
        try store.carryOut(.settle(digest))
          == CredentialState(digest: digest, changed: false, keepsBefore: false))
      #expect(
        temporary.listing("tls").sorted() == [
          "tls/.lock", "tls/agent.key", "tls/agent.pem", "tls/ca.pem", "tls/crl.pem",
        ])
    }

    @Test("What was there before is put back, and a second undo changes nothing")
    func undoes() throws {
      let first = try #require(try store.carryOut(.place(Self.files(1))).digest)
      _ = try store.carryOut(.settle(first))
      let second = try #require(try store.carryOut(.place(Self.files(2))).digest)
      #expect(try text("agent.pem") == Self.files(2).certificate)
      #expect(
        try store.carryOut(.undo(second)) == CredentialState(digest: first, changed: true, keepsBefore: false)
      )
      #expect(try text("agent.key") == Self.files(1).key.text)
      #expect(mode("agent.key") == 0o640)
      #expect(try store.carryOut(.undo(second)).changed == false)
    }

    @Test("The first files ever are undone to none")
    func undoesFirst() throws {
      let digest = try #require(try store.carryOut(.place(Self.files(1))).digest)
      let state = try store.carryOut(.undo(digest))
      #expect(state.digest == nil && state.changed)
      #expect(temporary.listing("tls") == ["tls/.lock"])
    }

    @Test("The same files placed again change nothing, and still can be undone")
    func placesTwice() throws {
      let first = try #require(try store.carryOut(.place(Self.files(1))).digest)
      _ = try store.carryOut(.settle(first))
      let second = try store.carryOut(.place(Self.files(2)))
      let again = try store.carryOut(.place(Self.files(2)))
      #expect(again == CredentialState(digest: second.digest, changed: false, keepsBefore: true))
      let digest = try #require(second.digest)
      #expect(try store.carryOut(.undo(digest)).digest == first)
    }

    @Test("An undo goes back to the last files that were seen to work, not to others that never were")
    func undoesToProven() throws {
      let first = try #require(try store.carryOut(.place(Self.files(1))).digest)
      _ = try store.carryOut(.settle(first))
      _ = try store.carryOut(.place(Self.files(2)))
      let third = try #require(try store.carryOut(.place(Self.files(3))).digest)
      #expect(try store.carryOut(.undo(third)).digest == first)
    }

    @Test("A push that was cut off half way is no set to go back to: what was proven before it is")
    func undoesToProvenAfterCut() throws {
      let first = try #require(try store.carryOut(.place(Self.files(1))).digest)
      _ = try store.carryOut(.settle(first))
      _ = try store.carryOut(.place(Self.files(2)))
      // As if the host had lost power between two of the files, and before in a copy of the first set.
      try Self.files(1).certificate.write(toFile: "\(folder)/agent.pem", atomically: false, encoding: .utf8)
      try "".write(toFile: "\(folder)/.writing", atomically: false, encoding: .utf8)
      try FileManager.default.createDirectory(
        atPath: "\(folder)/.before.new", withIntermediateDirectories: false)
      let third = try #require(try store.carryOut(.place(Self.files(3))).digest)
      #expect(try store.carryOut(.undo(third)).digest == first)
      #expect(
        temporary.listing("tls").sorted() == [
          "tls/.lock", "tls/agent.key", "tls/agent.pem", "tls/ca.pem", "tls/crl.pem",
        ])
    }

    @Test("Orders about other files than those that are there change nothing")
    func refusesStale() throws {
      let first = try #require(try store.carryOut(.place(Self.files(1))).digest)
      _ = try store.carryOut(.settle(first))
      let second = try #require(try store.carryOut(.place(Self.files(2))).digest)
      #expect(
        try store.carryOut(.settle(first))
          == CredentialState(digest: second, changed: false, keepsBefore: true))
      #expect(try store.carryOut(.undo(first)).changed == false)
    }

    @Test(
      "What is no PEM of its kind is refused with nothing changed, and none of it is quoted",
      arguments: [
        "", "hello", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nMAQCAgEB\n",
        "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMAUCAgEB\n-----END CERTIFICATE-----\n",
        "-----BEGIN X509 CRL-----\nMAQCAgEB\n-----END X509 CRL-----\n",
        "-----BEGIN CERTIFICATE-----\nMAQCAgEB\n-----END CERTIFICATE-----\n../../etc/passwd\n",
        String(repeating: "A", count: 70_000),
      ])
    func refusesOthers(certificate: String) throws {
      var files = Self.files(1)
      files.certificate = certificate
      let failure = try #require(refusal(files))
      #expect(failure.code == .invalid)
      #expect(certificate.count < 5 || !failure.message.contains(certificate.prefix(40)))
      #expect(!FileManager.default.fileExists(atPath: folder))
    }

    @Test("A key that is none is refused, and not shown")
    func refusesKeys() throws {
      var files = Self.files(1)
      files.key = Secret("-----BEGIN PRIVATE KEY-----\nc2VjcmV0IQ==\n-----END PRIVATE KEY-----\n")
      let failure = try #require(refusal(files))
      #expect(!"\(failure)".contains("c2VjcmV0"))
      #expect(!"\(files)".contains("c2VjcmV0"))
      var dumped = ""
      dump(files, to: &dumped)
      #expect(!dumped.contains("c2VjcmV0"))
    }

    @Test("A link in a file's place is not followed, and what it leads to stays")
    func followsNoLinks() throws {
      _ = try store.carryOut(.place(Self.files(1)))
      let target = "\(temporary.path)/precious"
      try "precious".write(toFile: target, atomically: false, encoding: .utf8)
      unlink("\(folder)/agent.pem")
      #expect(symlink(target, "\(folder)/agent.pem") == 0)
      #expect(refusal(Self.files(2)) != nil)
      #expect(try String(contentsOfFile: target, encoding: .utf8) == "precious")
    }

    @Test("A host without the agent's group is told to be prepared first")
    func needsGroup() throws {
      let store = CredentialStore(folder: folder, readers: "no-such-group")
      do throws(HostFailure) {
        _ = try store.carryOut(.place(Self.files(1)))
        Issue.record("it was placed")
      } catch {
        #expect(error.code == .notFound)
      }
    }

    @Test("All files of the largest sizes fit in one frame")
    func fitsInFrame() throws {
      let small = String(repeating: "a", count: CredentialFiles.smallLimit)
      let files = CredentialFiles(
        certificate: small, key: Secret(small), authority: small,
        revoked: String(repeating: "/\n", count: CredentialFiles.listLimit / 2))
      #expect(throws: Never.self) { try Frame.request(.credentials(.place(files))).encoded() }
    }
  }
}
