"""Starts a service in place of one that was killed: `python -m cli.takeover NAME COMMAND ...`.

A killed service leaves its children: they would keep its port, or finish a task that is started again meanwhile. They
are ended first; then the command takes this program's place, so that supervisord watches it and nothing else.
"""

import os
import sys
from pathlib import Path

from cli.orphans import end, marked
from cli.services import MARKER, SERVICE_MARKER


def main() -> None:
    name, *command = sys.argv[1:]
    end([program for program in marked(Path(os.environ[MARKER])) if program.environ().get(SERVICE_MARKER) == name])
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
