"""CSV and TSV read line by line as text, so that each line keeps its number and a malformed one costs only itself."""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import IO

import pyarrow as pa
import pyarrow.csv as arrow_csv

from cli.importing.archive import SourceError
from cli.importing.rows import Batch, numbered, text_schema
from cli.importing.text_lines import (
    BYTE_ORDER_MARK,
    LINE_LIMIT,
    after_line,
    line_blocks,
    line_count,
    may_be_overlong,
)


class CsvLines:
    """The lines of one member; its columns are `names`, or what its first line says. Raises SourceError when that is
    no header. A column without a name is called column_<its place>. A quoted field ends on its own line."""

    def __init__(self, stream: IO[bytes], origin: str, delimiter: str = ",", names: Sequence[str] = ()) -> None:
        self._delimiter = delimiter
        self._blocks = line_blocks(stream, origin)
        first = next(self._blocks, (1, b""))[1].removeprefix(BYTE_ORDER_MARK)
        number = 1
        if not names:
            line, _, first = first.partition(b"\n")
            names, error = fields_of(line, delimiter)
            if error or not names:
                raise SourceError(f"{origin}:1: no header line: {error or 'it is empty'}")
            number = 2
        self._names = [name or f"column_{place}" for place, name in enumerate(names, 1)]
        self.schema = text_schema(self._names, f"{origin}:1")
        if first:
            self._blocks = chain([(number, first)], self._blocks)

    def batches(self, columns: Sequence[str], after: int = 0) -> Iterator[Batch]:
        """The lines after the header; blank ones are left out, an empty field is null."""
        for number, block in after_line(self._blocks, after):
            last = number + line_count(block) - 1
            plain = self._plain(block, columns)
            if plain is not None:
                numbers = pa.array(range(number, last + 1), pa.int64())
                yield Batch(numbered(numbers, dict(zip(columns, plain, strict=True))), [], last)
            else:
                yield self._one_by_one(number, block, columns, last)

    def _plain(self, block: bytes, columns: Sequence[str]) -> list[pa.Array] | None:
        """The columns of a block in which nothing is quoted, blank or malformed, which is read at once; else None."""
        if b'"' in block or b"\n\n" in block or block[:1] in b"\r\n" or may_be_overlong(block):
            return None
        if b"\r" in block and not block.count(b"\r") == block.count(b"\r\n") == block.count(b"\n"):
            return None
        if not columns or b"\n\r\n" in block or not _is_utf8(block):
            return None
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(block),
                arrow_csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=self._names),
                arrow_csv.ParseOptions(delimiter=self._delimiter, quote_char=False, ignore_empty_lines=False),
                arrow_csv.ConvertOptions(
                    include_columns=columns,
                    column_types=dict.fromkeys(columns, pa.string()),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
        except pa.ArrowInvalid:  # a line with another number of fields: which one is found line by line
            return None
        return table.columns if table.num_rows == line_count(block) else None

    def _one_by_one(self, number: int, block: bytes, columns: Sequence[str], last: int) -> Batch:
        numbers, rows, malformed = [], [], []
        for place, line in enumerate(block.removesuffix(b"\n").split(b"\n"), number):
            fields, error = fields_of(line, self._delimiter)
            if not error and fields and len(fields) != len(self._names):
                error = f"expected {len(self._names)} fields, found {len(fields)}"
            if error:
                malformed.append((place, error))
            elif fields:
                numbers.append(place)
                rows.append(fields)
        at = {name: self._names.index(name) for name in columns}
        texts = {name: pa.array([row[index] or None for row in rows], pa.string()) for name, index in at.items()}
        return Batch(numbered(pa.array(numbers, pa.int64()), texts), malformed, last)


def fields_of(line: bytes, delimiter: str) -> tuple[list[str], str]:
    """The fields of a line, or what is wrong with it in words that quote nothing of it."""
    if len(line) > LINE_LIMIT:
        return [], f"longer than {LINE_LIMIT} bytes"
    try:
        text = line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        return [], f"not valid UTF-8 at byte {error.start + 1}"
    csv.field_size_limit(LINE_LIMIT)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), []), ""
    except csv.Error as error:
        return [], f"not valid CSV: {str(error).partition(' - ')[0]}"


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
