"""Landing segments: the one writer and the one reader of events on their way into the lake.

landing/<producer>/<number>.open is being written, .jsonl is sealed. A line is canonical JSON
{"table", "origin", "received_at", "error"?, "row", "_c"}, `row` last and `_c` the CRC-32 of the bytes before it, so
that a torn line and a run of zeros are both known for what they are. What `append` returned from is on disk.
"""

import contextlib
import fcntl
import json
import os
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CHECKSUM_MARK = b',"_c":"'
CHECKSUM_BYTES = len(CHECKSUM_MARK) + 8 + len(b'"}')


@dataclass(frozen=True)
class Event:
    """One row on its way to `table`. `error` says why a source line gave no row. `origin` is file:line; without one
    the landing segment and line are the origin."""

    table: str
    received_at: datetime
    row: Mapping[str, Any] | None
    origin: str = ""
    error: str = ""


class DamagedLineError(ValueError):
    """A landing line that is torn, altered or not one of ours."""


def instant_text(instant: datetime) -> str:
    """The one way an instant is written: UTC, microseconds, Z."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def event_line(event: Event, origin: str) -> bytes:
    """The landing line of `event`, newline included. Raises ValueError on a number that is not finite."""
    envelope: dict[str, Any] = {"table": event.table, "origin": origin, "received_at": instant_text(event.received_at)}
    if event.error:
        envelope["error"] = event.error
    row = (
        None if event.row is None else {key: event.row[key] for key in sorted(event.row) if event.row[key] is not None}
    )
    envelope["row"] = row
    body = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()[:-1]
    return b'%s%s%08x"}\n' % (body, CHECKSUM_MARK, zlib.crc32(body))


def parsed_line(line: bytes) -> dict[str, Any]:
    """The envelope of a landing line without its checksum; raises DamagedLineError."""
    body, ending = line[: -CHECKSUM_BYTES - 1], line[-CHECKSUM_BYTES - 1 :]
    if ending != b'%s%08x"}\n' % (CHECKSUM_MARK, zlib.crc32(body)) or not body:
        raise DamagedLineError("the checksum does not match")
    parsed: dict[str, Any] = json.loads(body + b"}")
    return parsed


def read_segment(path: Path) -> Iterator[dict[str, Any]]:
    """The envelopes of a segment in order; raises DamagedLineError at the first that is damaged."""
    with path.open("rb") as lines:
        for line in lines:
            yield parsed_line(line)


class LandingWriter:
    """Appends events to segments of `landing`/<name>-<slot>, where the slot is the lowest that no live process holds.

    Thread-safe. Segments left open by a dead process are cut after their last whole line and sealed at start.
    """

    def __init__(self, landing: Path, name: str, limit_bytes: int = 64 << 20, limit_seconds: float = 10.0) -> None:
        self._limit_bytes, self._limit_seconds = limit_bytes, limit_seconds
        self._lock = threading.Lock()
        self._folder, self._slot = _claimed_slot(landing, name)
        for abandoned in sorted(self._folder.glob("*.open")):
            _recover(abandoned)
        numbers = [int(path.stem) for path in self._folder.glob("*.jsonl")]
        self._number = max(numbers, default=0)
        self._file = -1
        self._size = self._lines = 0
        self._opened_at = 0.0

    @property
    def producer(self) -> str:
        return self._folder.name

    def append(self, events: Sequence[Event]) -> None:
        """Write `events`, on disk when this returns. Raises OSError, and then none of them counts as written."""
        if not events:
            return
        with self._lock:
            if self._file >= 0 and self._size >= self._limit_bytes:
                self._seal()
            if self._file < 0:
                self._open()
            lines = [
                event_line(event, event.origin or f"{self.producer}/{self._number:020d}.jsonl:{self._lines + offset}")
                for offset, event in enumerate(events, 1)
            ]
            self._write(b"".join(lines))
            self._lines += len(lines)

    def seal_when_due(self) -> None:
        """Seal the open segment once it is older or larger than the limits, so that the next load finds it."""
        with self._lock:
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
        self.seal()
        os.close(self._slot)

    def _path(self, ending: str) -> Path:
        return self._folder / f"{self._number:020d}.{ending}"

    def _open(self) -> None:
        self._number += 1
        file = os.open(self._path("open"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        try:
            _sync_folder(self._folder)
        except OSError:
            os.close(file)
            raise
        self._file, self._size, self._lines = file, 0, 0
        self._opened_at = time.monotonic()

    def _write(self, content: bytes) -> None:
        """All of `content` on disk, or the segment ended at its last good offset and OSError.

        After a failed sync the kernel may have dropped the pages and call the next sync good: such a file is never
        written again, the next append goes on in another.
        """
        try:
            written = 0
            while written < len(content):
                written += os.write(self._file, content[written:])
            os.fdatasync(self._file)
        except OSError:
            self._abandon()
            raise
        self._size += len(content)

    def _abandon(self) -> None:
        """Cut what is not whole and seal the rest; where the disk refuses even that, the next start recovers it."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            os.close(self._file)
            self._file = -1
            return
        with contextlib.suppress(OSError):
            self._seal()

    def _seal(self) -> None:
        os.close(self._file)
        self._file = -1
        if not self._size:
            self._path("open").unlink()
            return
        self._path("open").rename(self._path("jsonl"))
        _sync_folder(self._folder)


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
        _sync_folder(landing)
        return folder, lock


def _recover(path: Path) -> None:
    """Cut an abandoned segment after its last whole line and seal it; one without any is removed. A damaged line before
    that stays for the load to report: what follows it was acknowledged."""
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
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
