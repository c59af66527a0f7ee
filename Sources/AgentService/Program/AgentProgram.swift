import FoundationEssentials
import Glibc
import Logging
import MarkedYAML
import RolloutModel

/// The agent's command line.
public enum AgentProgram {
  /// Why the program ended; its exit status.
  public enum Exit: Int32, Sendable {
    case done = 0
    case failed = 1
    case invalid = 2
  }

  /// Does what the arguments (without the program's own name) say. `revocations` reads revocation lists; without it a configuration
  /// that names one is refused.
  public static func run(
    _ arguments: [String], environment: [String: String], revocations: RevocationReader? = nil
  ) async -> Exit {
    // A connection that breaks is told by an error, not by the end of the program.
    signal(SIGPIPE, SIG_IGN)
    // Where it is ignored, the ends of the programs that we start are lost.
    signal(SIGCHLD, SIG_DFL)
    Memory.shareHeaps()
    switch Invocation(arguments) {
    case .help:
      print(Invocation.usage)
      return .done
    case .version:
      print("switchyard-agent \(switchyardVersion)")
      return .done
    case .misuse(let why):
      complain("switchyard-agent: \(why)\n  see switchyard-agent --help")
      return .invalid
    case .check(let path): return check(path, revocations)
    case .serve(let path): return await serve(path, environment, revocations)
    case .run(let path):
      return await byHand(path, revocations) {
        await CommandByHand(configuration: $0, limits: Limits()).run()
      }
    case .upload(let path, let digest, let size):
      return await byHand(path, revocations) {
        await UploadByHand(configuration: $0, limits: Limits()).run(digest, size: size)
      }
    }
  }

  /// Does without the server what the server does, for whoever came to the host by another way.
  private static func byHand(
    _ path: String, _ revocations: RevocationReader?, _ body: (AgentConfiguration) async -> Exit
  ) async -> Exit {
    let configuration: AgentConfiguration
    do throws(FileProblems) {
      configuration = try ConfigurationFile.load(path: path, readsRevocations: revocations != nil)
    } catch {
      complain("\(error)")
      return .invalid
    }
    return await body(configuration)
  }

  private static func check(_ path: String, _ revocations: RevocationReader?) -> Exit {
    do throws(FileProblems) {
      let configuration = try ConfigurationFile.load(path: path, readsRevocations: revocations != nil)
      let identity = try TLSFiles(configuration, reader: revocations).load()
      try ConfigurationCheck.outside(configuration, file: path, identity: identity)
    } catch {
      complain("\(error)")
      return .invalid
    }
    print("\(escapedForTerminal(path)): good")
    return .done
  }

  private static func serve(
    _ path: String, _ environment: [String: String], _ revocations: RevocationReader?
  ) async -> Exit {
    guard let port = environment["PORT"].flatMap({ Int($0) }), (1...65_535).contains(port) else {
      complain(
        """
        switchyard-agent: the environment has no PORT from 1 to 65535
          a slot's environment has it; by hand: PORT=7443 switchyard-agent --config FILE
        """)
      return .invalid
    }
    let log = Logger(label: "switchyard-agent") { _ in LineLog() }
    let stop = StopSignals()
    let server: AgentServer
    do throws(FileProblems) {
      let configuration = try ConfigurationFile.load(path: path, readsRevocations: revocations != nil)
      server = try AgentServer(
        configuration, port: port, slot: environment["SLOT"] ?? "", revocations: revocations, log: log)
    } catch {
      complain("\(error)")
      return .invalid
    }
    do { try await server.run(until: { await stop.wait() }) } catch {
      complain(
        """
        switchyard-agent: can't serve on port \(port): \(escapedForTerminal("\(error)"))
          look at what holds the port: ss -ltnp
        """)
      return .failed
    }
    return .done
  }

  private static func complain(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    // Where nobody listens there is nobody to tell.
    _ = write(2, bytes, bytes.count)
  }
}
