import AgentService
import FoundationEssentials
import Glibc

exit(
  await AgentProgram.run(
    Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment
  ).rawValue)
