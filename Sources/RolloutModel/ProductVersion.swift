/// The version of Switchyard's programs, controller and host alike.
public let switchyardVersion = "0.1.0"
