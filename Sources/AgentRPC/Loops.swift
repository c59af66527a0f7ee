import EventLoop

/// Switchyard's own event loop, by a name that SwiftNIO's protocol of the same name leaves free.
public typealias HomeLoop = EventLoop
