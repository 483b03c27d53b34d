"""Landing lines: how one row on its way into the lake is written, and read back.

A line is canonical JSON {"table", "origin", "received_at", "error"?, "row", "_c"}, `row` last and `_c` the CRC-32 of
the bytes before it, so that a torn line and a run of zeros are both known for what they are.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

ENDED = b'%s,"_c":"%08x"}\n'
"""A line: its body and the body's checksum."""
CHECKSUM_BYTES = len(b',"_c":"01234567"}')
"""How a line ends, without its newline."""
ENVELOPE_BYTES = 200
"""About what a line is longer than its row."""


@dataclass(frozen=True)
class Event:
    """One row on its way to `table`. `error` says why a source line gave no row. `origin` is file:line; without one
    the landing segment and line are the origin."""

    table: str
    received_at: datetime
    row: Mapping[str, Any] | None
    origin: str = ""
    error: str = ""


class EncodedRows(NamedTuple):
    """Rows of one table that became known at one instant, each as ready canonical JSON: keys sorted, nulls left out, no
    blank around a comma or a colon. Their origin is the landing segment and line."""

    table: str
    received_at: datetime
    rows: Sequence[bytes]

    @property
    def size_bytes(self) -> int:
        """About what their lines take on the disk."""
        return sum(map(len, self.rows)) + ENVELOPE_BYTES * len(self.rows)


class DatedRows(NamedTuple):
    """As EncodedRows, for rows that became known each at an instant of its own, as instant_text writes it."""

    table: str
    received_at: Sequence[bytes]
    rows: Sequence[bytes]


class DamagedLineError(ValueError):
    """A landing line that is torn, altered or not one of ours."""


def instant_text(instant: datetime) -> str:
    """The one way an instant is written: UTC, microseconds, Z."""
    in_utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return f"{in_utc.isoformat(timespec='microseconds')[:-6]}Z"


def canonical_row(row: Mapping[str, Any]) -> bytes:
    """`row` as its line holds it. Raises ValueError on a number that is not finite."""
    return _json({key: row[key] for key in sorted(row) if row[key] is not None})


def event_line(event: Event, origin: str) -> bytes:
    """The landing line of `event`, newline included. Raises ValueError on a number that is not finite."""
    envelope = {"table": event.table, "origin": origin, "received_at": instant_text(event.received_at)}
    if event.error:
        envelope["error"] = event.error
    row = b"null" if event.row is None else canonical_row(event.row)
    return _sealed(b'%s,"row":%s' % (_json(envelope)[:-1], row))


def row_lines(batch: EncodedRows | DatedRows, origin: str, first: int) -> list[bytes]:
    """The landing lines of a batch, newlines included; their origins are `origin`:`first` and on."""
    before, crc32 = _line_start(batch.table, origin), zlib.crc32
    # Line by line, not all bodies and then all ends: what was just written is still in the cache.
    if isinstance(batch, DatedRows):
        return [
            ENDED % (body := b'%s%d","received_at":"%s","row":%s' % (before, number, at, row), crc32(body))
            for number, (at, row) in enumerate(zip(batch.received_at, batch.rows, strict=True), first)
        ]
    after = b'","received_at":"%s","row":' % instant_text(batch.received_at).encode()
    return [
        ENDED % (body := b"%s%d%s%s" % (before, number, after, row), crc32(body))
        for number, row in enumerate(batch.rows, first)
    ]


@lru_cache(maxsize=64)
def _line_start(table: str, origin: str) -> bytes:
    """Up to the line's number."""
    return _json({"table": table, "origin": f"{origin}:"})[:-2]


def parsed_line(line: bytes) -> dict[str, Any]:
    """The envelope of a landing line without its checksum; raises DamagedLineError."""
    body, ending = line[: -CHECKSUM_BYTES - 1], line[-CHECKSUM_BYTES - 1 :]
    if not body or ending != b',"_c":"%08x"}\n' % zlib.crc32(body):
        raise DamagedLineError("the checksum does not match")
    parsed: dict[str, Any] = json.loads(body + b"}")
    return parsed


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _sealed(body: bytes) -> bytes:
    return ENDED % (body, zlib.crc32(body))


def read_segment(path: Path) -> Iterator[dict[str, Any]]:
    """The envelopes of a segment in order; raises DamagedLineError at the first that is damaged."""
    with path.open("rb") as lines:
        for line in lines:
            yield parsed_line(line)
