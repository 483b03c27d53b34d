"""A stream of text as blocks of whole lines that know their numbers, within a stated memory."""

from collections.abc import Iterator
from typing import IO

from cli.importing.archive import READ_ERRORS, SourceError

LINE_LIMIT = 1 << 20
"""Bytes of the longest line that is read; a longer one is malformed."""
BLOCK_BYTES = 1 << 20
"""Bytes that are read at once: a block is about as long. Not more than LINE_LIMIT, see `may_be_overlong`."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def line_blocks(stream: IO[bytes], origin: str) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole lines, each with the number of its first line, from 1. A line over LINE_LIMIT is cut, and stays
    over it. Raises SourceError."""
    number, rest = 1, b""
    try:
        while read := stream.read(BLOCK_BYTES):
            block = rest + read
            end = block.rfind(b"\n") + 1
            rest = block[end:][: LINE_LIMIT + 1]
            if end:
                yield number, block[:end]
                number += block.count(b"\n", 0, end)
    except READ_ERRORS as error:
        raise SourceError(f"{origin}:{number}: cannot be read on: {error}") from None
    if rest:
        yield number, rest


def may_be_overlong(block: bytes) -> bool:
    """Can a line of this block be over LINE_LIMIT? Only the first may span two reads."""
    first = block.find(b"\n")
    return (len(block) if first < 0 else first) > LINE_LIMIT


def after_line(blocks: Iterator[tuple[int, bytes]], after: int) -> Iterator[tuple[int, bytes]]:
    """The blocks without the lines up to and with number `after`."""
    for number, block in blocks:
        passed = after + 1 - number
        if passed <= 0:
            yield number, block
        elif passed < line_count(block):
            yield after + 1, block.split(b"\n", passed)[passed]


def line_count(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))
