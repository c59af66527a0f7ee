# make setup build on a fresh Debian 12 with a Swift toolchain leaves the programs in .build/release/.

.PHONY: setup build package test acceptance demo bench simulate endurance lint format clean

setup:
	scripts/setup
	scripts/python-tools

# The host program must run where no Swift is installed: its libraries are linked in. What a debugger needs is left out,
# for it is pushed to every host.
build:
	swift build -c release --static-swift-stdlib -Xlinker -s

test: setup lint
	swift test
	$(MAKE) build
	.build/release/simulate --seeds 2000
	.build/release/simulate --seeds 1000 --all-bugs
	.build/release/simulate --seeds 50 --crash-points
	python3 Benchmarks/agent.py --check
	python3 Tests/Fleet/run_tests.py --matrix docs/fault-matrix.md

# What takes too long for each change: all tests over the RPC door, and the agent from nothing on ten hosts at once.
acceptance: test
	python3 Tests/Fleet/run_tests.py --door rpc
	SWITCHYARD_FROM_NOTHING=10 python3 Tests/Fleet/run_tests.py test_ten_hosts

# The agent's Debian package, and its archive for rollouts, in .build/.
package: setup build
	python3 packaging/package.py --out .build

# Five real hosts, a canary rollout under load, then one that goes bad and undoes itself.
demo: setup build
	python3 demo/demo.py

# Switchyard, a bare shell script and Ansible do the same upgrade of the same 20 hosts.
bench: setup build
	python3 Benchmarks/bench.py

# Rollouts through a simulated world: every promise is checked on every seed.
SEEDS = 20000
simulate: build
	.build/release/simulate --seeds $(SEEDS)
	.build/release/simulate --seeds 1000 --all-bugs
	.build/release/simulate --seeds 200 --crash-points

# Rollouts on real hosts, the controllers of which are killed again and again.
ROLLOUTS = 100
endurance: setup build
	python3 Tests/Fleet/endurance.py --rollouts $(ROLLOUTS)

lint:
	swift format lint --strict --recursive Sources Tests Package.swift
	scripts/python-tools
	cd playbooks && PATH="$(CURDIR)/.cache/python-tools/bin:$$PATH" ansible-lint

format:
	swift format --in-place --recursive Sources Tests Package.swift

clean:
	swift package clean
