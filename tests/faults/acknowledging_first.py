"""Serving as it must not be, for the negative control: rows are kept in memory for a while after they are acknowledged.

`python -m tests.faults.acknowledging_first`
"""

from collections.abc import Sequence

from data_contracts.landing import LandingWriter
from serving.__main__ import main

KEPT_ROWS = 200


class BufferedWriter:
    """In the place of LandingWriter._write: what a buffered file would do."""

    def __init__(self) -> None:
        self._write = LandingWriter._write
        self._kept: list[bytes] = []

    def write(self, writer: LandingWriter, lines: Sequence[bytes]) -> None:
        self._kept += lines
        if len(self._kept) >= KEPT_ROWS:
            self._write(writer, self._kept)
            self._kept = []


if __name__ == "__main__":
    buffered = BufferedWriter()
    LandingWriter._write = lambda writer, lines: buffered.write(writer, lines)  # type: ignore[method-assign]
    main()
