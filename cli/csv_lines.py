"""CSV read line by line as text, so that each line keeps its number and a malformed one costs only itself."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from cli.archive import LINE_LIMIT, SourceError, numbered_lines

BATCH_BYTES = 16 << 20
"""A batch ends here however few its lines, so that long lines cannot fill the memory."""


@dataclass
class LineBatch:
    """Consecutive lines of a member: the fields of the good ones, and what is wrong with the others, by line number."""

    numbers: list[int] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    malformed: list[tuple[int, str]] = field(default_factory=list)
    size: int = 0


class CsvLines:
    """The lines of one member; `names` are the columns of its first line. Raises SourceError when it has none.

    A column without a name is called column_<its place>. A quoted field ends on its own line.
    """

    def __init__(self, stream: IO[bytes], origin: str) -> None:
        self._lines = numbered_lines(stream, origin)
        _, line = next(self._lines, (1, b""))
        fields, error = _fields(line.removeprefix(b"\xef\xbb\xbf"))
        if error or not fields:
            raise SourceError(f"{origin}:1: no header line: {error or 'it is empty'}")
        self.names = tuple(name or f"column_{place}" for place, name in enumerate(fields, 1))
        lowered = [name.lower() for name in self.names]
        for name in lowered:
            if lowered.count(name) > 1:
                raise SourceError(f"{origin}:1: two columns are called {name}")

    def batches(self, size: int) -> Iterator[LineBatch]:
        """All lines after the header in batches of at most `size`; blank ones are left out."""
        batch, expected = LineBatch(), len(self.names)
        for number, line in self._lines:
            batch.size += len(line)
            fields, error = _fields(line)
            if not error and fields and len(fields) != expected:
                error = f"expected {expected} fields, found {len(fields)}"
            if error:
                batch.malformed.append((number, error))
            elif fields:
                batch.numbers.append(number)
                batch.rows.append(fields)
            if len(batch.rows) + len(batch.malformed) >= size or batch.size >= BATCH_BYTES:
                yield batch
                batch = LineBatch()
        yield batch


def _fields(line: bytes) -> tuple[list[str], str]:
    """The fields of a line, or what is wrong with it in words that quote nothing of it."""
    if len(line) > LINE_LIMIT:
        return [], f"longer than {LINE_LIMIT} bytes"
    try:
        text = line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        return [], f"not valid UTF-8 at byte {error.start + 1}"
    try:
        return next(csv.reader([text], strict=True), []), ""
    except csv.Error as error:
        return [], f"not valid CSV: {str(error).partition(' - ')[0]}"
