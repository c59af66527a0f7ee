"""Xray as PyPI's wheel xray-core has it, a module, behind the arguments of the program `xray`.

xray version
xray run -config FILE          runs until it is told to end
xray run -test -config FILE    says whether it would run: it runs for two seconds, so give it a network of its own. There, it listens on
                               loopback in place of addresses that only the host has (not where the file has comments).
"""

import importlib.metadata
import json
import os
import signal
import sys
import time

USAGE = 2
LONG_ENOUGH = 2.0


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(text):
    import xray  # late: it starts Go's threads, which a fork would not survive

    xray.startFromJSON(text)


def on_loopback(text):
    """The same configuration for a network that has no other address."""
    try:
        configuration = json.loads(text)
        for number, inbound in enumerate(configuration["inbounds"]):
            if not inbound.get("listen", "").startswith(("/", "@")):  # a Unix socket's path
                inbound["listen"] = f"127.0.1.{number % 254 + 1}"
    except (ValueError, TypeError, KeyError, AttributeError):
        return text  # what is wrong with it is Xray's to say
    return json.dumps(configuration)


def test(path):
    child = os.fork()
    if child == 0:
        run(on_loopback(read(path)))
        os._exit(0)
    deadline = time.monotonic() + LONG_ENOUGH
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            print(f"{path}: Xray ended with {os.waitstatus_to_exitcode(status)}", file=sys.stderr)
            return 1
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("Configuration OK.")
    return 0


def main(arguments):
    if arguments == ["version"]:
        import xray

        print(f"xray-core {importlib.metadata.version('xray-core')} ({xray.__name__})")
        return 0
    if len(arguments) == 3 and arguments[:2] == ["run", "-config"]:
        run(read(arguments[2]))
        return 0
    if len(arguments) == 4 and arguments[:3] == ["run", "-test", "-config"]:
        return test(arguments[3])
    print(__doc__, file=sys.stderr)
    return USAGE


sys.exit(main(sys.argv[1:]))
