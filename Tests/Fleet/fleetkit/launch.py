"""Join control groups, then become another program: launch.py GROUP… -- PROGRAM ARGUMENT…"""

import os
import sys


def main() -> None:
    split = sys.argv.index("--")
    for group in sys.argv[1:split]:
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
    program = sys.argv[split + 1:]
    os.execvp(program[0], program)


main()
