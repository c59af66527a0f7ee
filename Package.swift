// swift-tools-version: 6.2
import PackageDescription

// Layers, lowest first. A module imports only modules of lower layers, never a sibling;
// LayeringTests holds this graph, and the import lines of every source file, to that rule.

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, exclude: ["README.md"], swiftSettings: strict)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []
) -> Target {
  .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

let package = Package(
  name: "switchyard",
  products: [
    .executable(name: "switchyard", targets: ["switchyard"]),
    .executable(name: "switchyard-host", targets: ["switchyard-host"]),
    .executable(name: "switchyard-agent", targets: ["switchyard-agent"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    // The agent's. Traits that would link full Foundation stay off.
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
    .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.1"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0", traits: []),
  ],
  targets: [
    // L0: C libraries
    .systemLibrary(
      name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CSSH2", pkgConfig: "libssh2", providers: [.apt(["libssh2-1-dev"])]),
    .systemLibrary(
      name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
    .systemLibrary(name: "CYAML", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CLinux"),
    // L1: values
    module("RolloutModel"),
    // L2: pure machines and messages
    module("RolloutEngine", ["RolloutModel"]),
    module("ControllerMachine", ["RolloutModel"]),
    module("HostMachine", ["RolloutModel"]),
    module("HostProtocol", ["RolloutModel"]),
    // L3: ports and tools shared by the adapters
    module("Ports", ["RolloutModel", "HostProtocol"]),
    module("EventLoop", ["CLinux"]),
    module("MarkedYAML", ["CYAML"]),
    // L4: adapters
    module("PolicyFiles", ["RolloutModel", "MarkedYAML"]),
    module("Inventory", ["CLinux", "RolloutModel", "MarkedYAML"]),
    module(
      "SSHTransport",
      ["CLinux", "CSSH2", "EventLoop", "HostProtocol", "Ports", "RolloutModel", crypto]),
    module("Probes", ["CCurl", "EventLoop", "Ports", "RolloutModel"]),
    module("SystemdBus", ["CSystemd"]),
    module("HostSteps", ["HostProtocol", "Ports", "RolloutEngine", "RolloutModel", crypto]),
    module("JournalStore", ["Ports", "RolloutModel", grdb, crypto]),
    module("RunLogs", ["Ports", "RolloutModel"]),
    module("Certificates", ["Ports", "RolloutModel", asn1, crypto, x509]),
    module(
      "Playbooks",
      ["HostProtocol", "MarkedYAML", "Ports", "RolloutModel", crypto, subprocess, systemPackage]),
    // L5: drivers of the machines, and the door that stands on another
    module(
      "AgentRPC",
      [
        "EventLoop", "HostProtocol", "Ports", "RolloutModel", "SSHTransport", nioCore, nioHTTP1, nioPosix,
        nioSSL, nioTLS,
      ]),
    module("Agents", ["Certificates", "HostProtocol", "HostSteps", "Ports", "RolloutModel", crypto]),
    module("HostCore", ["CLinux", "HostMachine", "HostProtocol", "RolloutModel", "SystemdBus", crypto]),
    module(
      "AgentService",
      [
        "CLinux", "HostProtocol", "MarkedYAML", "RolloutModel", "SystemdBus", asn1, crypto, httpTypes,
        hummingbird,
        logging,
        nioCore,
        nioHTTPTypes, nioPosix, nioSSL, subprocess, systemPackage, x509,
      ]),
    module(
      "Controller",
      [
        "ControllerMachine", "EventLoop", "HostProtocol", "HostSteps", "Ports", "RolloutEngine",
        "RolloutModel",
      ]),
    module(
      "Simulator",
      [
        "ControllerMachine", "HostMachine", "HostProtocol", "HostSteps", "Ports", "RolloutEngine",
        "RolloutModel",
      ]),
    // L6: verbs
    module(
      "Commands",
      [
        "AgentRPC", "Agents", "CLinux", "Certificates", "Controller", "ControllerMachine", "EventLoop",
        "HostProtocol",
        "HostSteps",
        "Inventory",
        "JournalStore",
        "MarkedYAML", "Playbooks", "PolicyFiles", "Ports", "Probes", "RolloutEngine", "RolloutModel",
        "RunLogs",
        "Simulator",
        "SSHTransport",
        argumentParser, crypto,
      ]),
    // L7: composition roots
    .executableTarget(
      name: "switchyard", dependencies: ["Commands"], exclude: ["README.md"],
      swiftSettings: strict),
    .executableTarget(
      name: "switchyard-host", dependencies: ["HostCore"], exclude: ["README.md"],
      swiftSettings: strict),
    .executableTarget(
      name: "switchyard-agent", dependencies: ["AgentService", "Certificates"],
      exclude: ["README.md"], swiftSettings: strict),
    .executableTarget(
      name: "simulate", dependencies: ["JournalStore", "RolloutModel", "Simulator", argumentParser],
      exclude: ["README.md"],
      swiftSettings: strict),
    // Tests
    // Files that every reader must refuse, for the tests of the readers and of the program.
    .target(name: "BadFiles", path: "Tests/BadFiles", swiftSettings: strict),
    tests(
      "AgentServiceTests",
      [
        "AgentRPC", "AgentService", "EventLoop", "HostProtocol", "MarkedYAML", "PolicyFiles", "Ports",
        "RolloutModel", "SSHTransport", crypto, logging, nioCore, nioHTTP1, nioPosix, nioSSL, subprocess,
        systemPackage,
      ]),
    tests("AgentsTests", ["Agents", "Certificates", "HostProtocol", "Ports", "RolloutModel"]),
    tests("CertificatesTests", ["Certificates", "Ports", "RolloutModel", asn1, crypto, x509]),
    tests(
      "CommandsTests",
      [
        "Agents", "BadFiles", "Certificates", "Commands", "HostProtocol", "MarkedYAML", "Ports",
        "RolloutModel", "switchyard", argumentParser,
      ]),
    tests("EventLoopTests", ["EventLoop"]),
    tests(
      "FilesTests", ["BadFiles", "Inventory", "MarkedYAML", "PolicyFiles", "RolloutModel"],
      exclude: ["Inventories"]),
    tests("HostMachineTests", ["HostMachine", "RolloutModel"]),
    tests("HostCoreTests", ["HostCore", "HostMachine", "HostProtocol", "RolloutModel", "SystemdBus"]),
    tests("LayeringTests", []),
    tests(
      "PlaybooksTests", ["HostProtocol", "MarkedYAML", "Playbooks", "Ports", "RolloutModel"],
      exclude: ["Recordings"]),
    tests("ProbesTests", ["CLinux", "EventLoop", "Ports", "Probes", "RolloutModel"]),
    tests(
      "SSHTransportTests", ["CLinux", "EventLoop", "HostProtocol", "Ports", "RolloutModel", "SSHTransport"],
      exclude: ["Programs"]),
    tests(
      "JournalStoreTests",
      [
        "Controller", "HostSteps", "JournalStore", "Ports", "RolloutEngine", "RolloutModel", "RunLogs", grdb,
      ],
      exclude: ["Golden"]),
    tests("RolloutEngineTests", ["ControllerMachine", "RolloutEngine", "RolloutModel"]),
    tests("SimulatorTests", ["HostProtocol", "HostSteps", "Ports", "RolloutModel", "Simulator"]),
  ]
)
