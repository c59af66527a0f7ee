import AgentService
import FoundationEssentials
import Glibc

exit(
  await AgentProgram.run(
    Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment,
    revocations: { try Revocations($0, authority: $1) }
  ).rawValue)
