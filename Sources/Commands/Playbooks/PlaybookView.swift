import Glibc
import Ports
import RolloutModel

/// Tells of a run while it goes on: on a terminal a line a host, drawn again and again; in a pipe a line for each thing that
/// matters; for programs each event as JSON.
actor PlaybookView {
  private let format: OutputFormat
  private let style: OutputStyle
  private let isQuiet: Bool
  private var progress: PlaybookProgress
  private var screen: LiveScreen
  private var drawnAt: ContinuousClock.Instant?
  private var isDrawingSoon = false
  private var hasEnded = false

  /// Between two drawings.
  private static let pause = Duration.milliseconds(80)

  private init(_ job: PlaybookJob, format: OutputFormat, style: OutputStyle, isQuiet: Bool) {
    self.isQuiet = isQuiet
    self.format = format
    self.style = style
    progress = PlaybookProgress(playbook: job.playbook, isCheck: job.isCheck, hosts: job.hosts.map(\.name))
    screen = LiveScreen(style)
  }

  static func make(_ job: PlaybookJob, _ output: OutputOptions, isQuiet: Bool) -> PlaybookView {
    PlaybookView(
      job, format: output.output, style: OutputStyle.of(descriptor: STDOUT_FILENO), isQuiet: isQuiet)
  }

  /// Takes in an event.
  func take(_ event: PlaybookEvent) {
    guard !isQuiet else { return }
    progress.take(event)
    switch (format, style.isLive) {
    case (.json, _):
      // An event that can't be written as JSON would hold a number that is none; there is no such number.
      if let text = try? Output.jsonText(PlaybookEventLine(event), pretty: false) {
        Output.write(text, to: STDOUT_FILENO)
      }
    case (.text, true): draw(at: ContinuousClock.now)
    case (.text, false):
      if let line = PlaybookText.line(event, Symbols(style)) {
        Output.write(line.plain + "\n", to: STDOUT_FILENO)
      }
    }
  }

  /// Tells how it has ended, and how to see its log.
  func finish(_ report: PlaybookReport, run: String?) throws {
    guard !isQuiet else { return }
    guard format == .text else { return try Output.json(PlaybookReportLine(report, run: run), pretty: false) }
    hasEnded = true
    if style.isLive {
      let size = TerminalSize.of(descriptor: STDOUT_FILENO)
      Output.write(screen.clear(size: size) + screen.finish(), to: STDOUT_FILENO)
    }
    Output.styled { symbols in
      PlaybookText.summary(report, symbols)
        + (run.map { [StyledText("all that was done: switchyard logs \($0)", .faint)] } ?? [])
    }
  }

  /// Nothing was run.
  func abandon() {
    hasEnded = true
    Output.write(screen.finish(), to: STDOUT_FILENO)
  }

  private func draw(at now: ContinuousClock.Instant) {
    guard !hasEnded else { return }
    if let drawnAt, now - drawnAt < Self.pause { return drawSoon() }
    drawnAt = now
    let size = TerminalSize.of(descriptor: STDOUT_FILENO)
    Output.write(screen.draw(progress.lines(size, Symbols(style)), size: size), to: STDOUT_FILENO)
  }

  /// What came too soon after the last drawing is drawn all the same: nothing may follow it for a long time.
  private func drawSoon() {
    guard !isDrawingSoon else { return }
    isDrawingSoon = true
    Task {
      // Ended early, it is drawn early.
      try? await Task.sleep(for: Self.pause)
      isDrawingSoon = false
      draw(at: ContinuousClock.now)
    }
  }
}
