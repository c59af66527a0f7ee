extension RunLogs {
  /// The logs where a configuration has them.
  init(of configuration: AgentConfiguration, _ limits: Limits) {
    self.init(
      folder: StateFolder(path: "\(configuration.state)/runs"), limit: limits.log, total: limits.logs,
      count: limits.logCount)
  }
}

extension UploadStore {
  /// The uploads where a configuration has them.
  init(of configuration: AgentConfiguration, _ limits: Limits) {
    self.init(
      folder: StateFolder(path: "\(configuration.state)/uploads"), limit: configuration.uploadLimit,
      total: configuration.uploadTotal, count: limits.uploadCount, partLife: limits.partLife,
      rest: limits.uploadRest)
  }
}
