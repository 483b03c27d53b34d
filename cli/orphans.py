"""Programs of a platform that no supervisord answers for any more, known by the marker in their environment."""

import contextlib
import os
import time
from pathlib import Path

import psutil

from cli.services import MARKER


def marked(home: Path) -> list[psutil.Process]:
    """Every living program of the platform at `home`, but for the caller and what called it."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [program for program in psutil.process_iter() if program.pid not in mine and _is_marked(program, str(home))]


def strays(home: Path, supervisord_pid: int | None) -> list[psutil.Process]:
    """Those of `marked` that descend from no supervisord: what a killed one, or a killed service, left behind."""
    if supervisord_pid is None:
        return marked(home)
    kept = {supervisord_pid, *(child.pid for child in psutil.Process(supervisord_pid).children(recursive=True))}
    return [program for program in marked(home) if program.pid not in kept]


def end(programs: list[psutil.Process], patience_seconds: float = 8) -> None:
    """Asks each to end, and kills those that have not after `patience_seconds`."""
    for program in programs:
        with contextlib.suppress(psutil.NoSuchProcess):
            program.terminate()
    stubborn = still_there(programs, patience_seconds)
    for program in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            program.kill()
    still_there(stubborn, patience_seconds)


def still_there(programs: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended within `seconds`; one that has, and whose parent has not asked how, has ended."""
    deadline = time.monotonic() + seconds
    while (left := [program for program in programs if _lives(program)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def sweep(home: Path) -> int:
    """Ends what is left of the platform at `home`, supervisord first so that it restarts nothing; how many."""
    left = marked(home)
    supervisors = [program for program in left if _is_supervisord(program)]
    for program in supervisors:
        with contextlib.suppress(psutil.NoSuchProcess):
            program.kill()
    still_there(supervisors, 2)
    ended = set(left)
    # A program may have started another while it was told to end.
    for _ in range(3):
        if not (remaining := marked(home)):
            break
        ended.update(remaining)
        end(remaining)
    return len(ended)


def _lives(program: psutil.Process) -> bool:
    try:
        return program.is_running() and program.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_marked(program: psutil.Process, home: str) -> bool:
    try:
        return _lives(program) and program.environ().get(MARKER) == home
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _is_supervisord(program: psutil.Process) -> bool:
    try:
        return any(Path(word).name == "supervisord" for word in program.cmdline()[:2])
    except psutil.NoSuchProcess:
        return False
