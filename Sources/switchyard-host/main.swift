import FoundationEssentials
import Glibc
import HostCore

exit(
  HostProgram.run(
    Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment
  ).rawValue)
