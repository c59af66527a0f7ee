import Ports
import RolloutModel

extension DoorError {
  /// An error of the connection. `isAsked`: the host may have heard what was asked.
  init(_ error: SSHError, isAsked: Bool) {
    self.init(Self.kind(of: error.reason, isAsked: isAsked), error.message, hint: error.hint)
  }

  private static func kind(of reason: SSHError.Reason, isAsked: Bool) -> Kind {
    switch reason {
    case .local, .configuration: .local
    case .resolve, .connect: .unreachable
    case .hostKeyUnknown, .hostKeyChanged, .hostKeyRevoked, .hostKeyUnsupported, .authentication: .refused
    case .handshake: .unreachable
    case .refused: .unusable
    case .deadline, .lost, .closed: isAsked ? .lost : .unreachable
    }
  }

  /// The host program could not be started, although it is there.
  init(unstarted output: RemoteOutput, program: HostProgram, target: SSHTarget) {
    let complaint = output.complaint
    let allowed = "\(program.remotePath) of its home (sha256:\(program.digest))"
    let hint: String
    if complaint.contains("sudo"), complaint.contains("not found") {
      hint = "install sudo on the host, or connect as root"
    } else if complaint.contains("password is required") || complaint.contains("terminal is required") {
      hint = "let \(target.user) run \(allowed) with NOPASSWD in sudoers, or connect as root"
    } else if complaint.contains("not allowed") || complaint.contains("not in the sudoers") {
      hint = "let \(target.user) run \(allowed) as root in sudoers, or connect as root"
    } else if complaint.contains("GLIBC") || complaint.contains("shared libraries") {
      hint =
        "the host needs glibc 2.35 or later (Debian 12, Ubuntu 22.04), libsystemd.so.0 and libstdc++.so.6"
    } else if complaint.contains("xec format error") || complaint.contains("cannot execute binary") {
      hint = "the host program is for another architecture than the host"
    } else if complaint.contains("ermission denied") {
      hint = "programs can't be run from the user's home there (noexec?)"
    } else {
      hint = ""
    }
    self.init(
      .unusable, "\(target.place): the host program can't be started: \(escapedForTerminal(complaint))",
      hint: hint)
  }
}
