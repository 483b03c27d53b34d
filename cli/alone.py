"""One process at a time at what may not be done twice at once."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from cli.errors import CommandError


@contextlib.contextmanager
def alone(lock: Path, busy: str) -> Iterator[None]:
    """Holds `lock`, a file whose folder is made; raises CommandError at once, saying `busy`, while another holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"{busy}: wait for it") from None
        yield
