"""Landing segments: the one writer of events on their way into the lake.

landing/<producer>/<number>.open is being written, .jsonl is sealed; data_contracts.landing_lines says what a line is.
What `append` returned from is on disk. A producer's numbers only grow: the next is one more than the greatest that is
there. So whoever deletes sealed segments leaves the newest of each producer, or a number would be given twice, and what
is loaded by file name would pass the second by.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from data_contracts.disk import sync
from data_contracts.landing_lines import (
    CHECKSUM_BYTES,
    DamagedLineError,
    DatedRows,
    EncodedRows,
    Event,
    canonical_row,
    event_line,
    instant_text,
    parsed_line,
    read_segment,
    row_lines,
)

__all__ = [
    "CHECKSUM_BYTES",
    "DamagedLineError",
    "DatedRows",
    "EncodedRows",
    "Event",
    "LandingWriter",
    "canonical_row",
    "event_line",
    "instant_text",
    "parsed_line",
    "read_segment",
    "recover",
]


class LandingWriter:
    """Appends events to segments of `landing`/<name>-<slot>, where the slot is the lowest that no live process holds.

    Thread-safe. Segments left open by a dead process are cut after their last whole line and sealed at start.
    """

    def __init__(self, landing: Path, name: str, limit_bytes: int = 64 << 20, limit_seconds: float = 10.0) -> None:
        self._limit_bytes, self._limit_seconds = limit_bytes, limit_seconds
        self._lock = threading.Lock()
        self._folder, self._slot = _claimed_slot(landing, name)
        for abandoned in sorted(self._folder.glob("*.open")):
            recover(abandoned)
        numbers = [int(path.stem) for path in self._folder.glob("*.jsonl")]
        self._number = max(numbers, default=0)
        self._file = -1
        self._size = self._lines = 0
        self._opened_at = 0.0
        self._unsealed: list[Path] = []

    @property
    def producer(self) -> str:
        return self._folder.name

    def append(self, events: Sequence[Event]) -> None:
        """Write `events`, on disk when this returns. Raises OSError, and then none of them counts as written."""
        if not events:
            return
        with self._lock:
            origin = self._ready_segment()
            self._write(
                [
                    event_line(event, event.origin or f"{origin}:{number}")
                    for number, event in enumerate(events, self._lines + 1)
                ]
            )

    def append_rows(self, batches: Sequence[EncodedRows | DatedRows]) -> None:
        """As `append`, for rows that are encoded already."""
        with self._lock:
            origin = self._ready_segment()
            lines: list[bytes] = []
            for batch in batches:
                lines += row_lines(batch, origin, self._lines + len(lines) + 1)
            self._write(lines)

    def seal_when_due(self) -> None:
        """Seal the open segment once it is older or larger than the limits, so that the next load finds it; and what
        could not be sealed earlier."""
        with self._lock:
            while self._unsealed:
                recover(self._unsealed[-1])
                self._unsealed.pop()
            is_old = time.monotonic() - self._opened_at >= self._limit_seconds
            if self._file >= 0 and (is_old or self._size >= self._limit_bytes):
                self._seal()

    def seal(self) -> None:
        """Seal the open segment now, if there is one."""
        with self._lock:
            if self._file >= 0:
                self._seal()

    def close(self) -> None:
        """Seal what is open and give the slot back."""
        try:
            self.seal()
        finally:
            os.close(self._slot)

    def _ready_segment(self) -> str:
        """Opens a segment where there is none with room; gives the name its lines have as their origin."""
        if self._file >= 0 and self._size >= self._limit_bytes:
            self._seal()
        if self._file < 0:
            self._open()
        return f"{self.producer}/{self._path('jsonl').name}"

    def _path(self, ending: str) -> Path:
        return self._folder / f"{self._number:020d}.{ending}"

    def _open(self) -> None:
        self._number += 1
        file = os.open(self._path("open"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        try:
            sync(self._folder)
        except OSError:
            os.close(file)
            raise
        self._file, self._size, self._lines = file, 0, 0
        self._opened_at = time.monotonic()

    def _write(self, lines: Sequence[bytes]) -> None:
        """All of `lines` on disk, or the segment ended at its last good offset and OSError.

        After a failed sync the kernel may have dropped the pages and call the next sync good: such a file is never
        written again, the next append goes on in another.
        """
        content = b"".join(lines)
        try:
            written = 0
            while written < len(content):
                written += os.write(self._file, content[written:])
            os.fdatasync(self._file)
        except OSError:
            self._abandon()
            raise
        self._size += len(content)
        self._lines += len(lines)

    def _abandon(self) -> None:
        """Cut what is not whole and seal the rest; where the disk refuses even that, it is recovered later."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            os.close(self._file)
            self._file = -1
            self._unsealed.append(self._path("open"))
            return
        with contextlib.suppress(OSError):
            self._seal()

    def _seal(self) -> None:
        os.close(self._file)
        self._file = -1
        path = self._path("open")
        try:
            if self._size:
                path.rename(path.with_suffix(".jsonl"))
                sync(self._folder)
            else:
                path.unlink()
        except OSError:
            self._unsealed.append(path)
            raise


def _claimed_slot(landing: Path, name: str) -> tuple[Path, int]:
    slot = 0
    while True:
        folder = landing / f"{name}-{slot}"
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            slot += 1
            continue
        sync(landing)
        return folder, lock


def recover(path: Path) -> None:
    """Cut an abandoned segment after its last whole line and seal it; one without any is removed. A damaged line before
    that stays for the load to report: what follows it was acknowledged. One that is sealed by now is left alone."""
    if not path.exists():
        sync(path.parent)
        return
    content = path.read_bytes()
    end = good = 0
    for line in content.splitlines(keepends=True):
        end += len(line)
        with contextlib.suppress(DamagedLineError):
            parsed_line(line)
            good = end
    if not good:
        path.unlink()
        return
    with path.open("r+b") as file:
        file.truncate(good)
        os.fsync(file.fileno())
    path.rename(path.with_suffix(".jsonl"))
    sync(path.parent)
