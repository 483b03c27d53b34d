"""What may still be missing as of an instant: landing segments that are open and hold rows from before it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from data_contracts.landing import DamagedLineError, parsed_line, recover
from data_contracts.sections import parsed_instant


def open_before(landing: Path, instant: datetime) -> list[Path]:
    """The segments that a living process writes and that hold rows received before `instant`. What a dead one left open
    is sealed, since nobody else will."""
    found = []
    for segment in sorted(landing.glob("*/*.open")):
        with _abandoned(segment.parent) as is_abandoned:
            if is_abandoned:
                recover(segment)
            elif _began_before(segment, instant):
                found.append(segment)
    return found


@contextmanager
def _abandoned(folder: Path) -> Iterator[bool]:
    """Whether no process holds a producer's slot; while this lasts, none will take it."""
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(lock)


def _began_before(segment: Path, instant: datetime) -> bool:
    """By its first row: a producer stamps its rows in order. A row that is not whole yet counts as before."""
    try:
        with segment.open("rb") as lines:
            line = lines.readline()
    except FileNotFoundError:  # sealed meanwhile
        return False
    try:
        return parsed_instant(parsed_line(line)["received_at"]) < instant
    except DamagedLineError:
        return bool(line)
