"""The parts of the test fleet: base image, network, hosts, faults, files for clients."""
