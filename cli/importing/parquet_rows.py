"""Parquet: the columns with the types they have; the line number is the row's, from 1."""

import io
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa
import pyarrow.parquet as parquet

from cli.importing.archive import SourceError
from cli.importing.rows import Batch, check_names, numbered

BATCH_ROWS = 8_192
BROKEN = (pa.ArrowException, OSError)


class ParquetRows:
    """The rows of one member. Raises SourceError, which names it, when the file is broken. One inside an archive is
    held in memory, since its directory is at its end."""

    def __init__(self, stream: IO[bytes], origin: str) -> None:
        self._origin = origin
        try:
            on_disk = isinstance(stream, io.BufferedReader) and isinstance(stream.raw, io.FileIO)
            self._file = parquet.ParquetFile(stream if on_disk else pa.BufferReader(stream.read()))
            self.schema = self._file.schema_arrow.remove_metadata()
        except BROKEN as error:
            raise self._broken(error) from None
        check_names(self.schema.names, origin)

    def batches(self, columns: Sequence[str], after: int = 0) -> Iterator[Batch]:
        """The rows after row `after`; a row group that lies before it is not read."""
        begin = 0
        try:
            for group in range(self._file.num_row_groups):
                rows = self._file.metadata.row_group(group).num_rows
                if begin + rows > after:
                    yield from self._group_batches(group, begin, columns, after)
                begin += rows
        except BROKEN as error:
            raise self._broken(error) from None

    def _group_batches(self, group: int, begin: int, columns: Sequence[str], after: int) -> Iterator[Batch]:
        for batch in self._file.iter_batches(BATCH_ROWS, row_groups=[group], columns=list(columns)):
            end = begin + batch.num_rows
            first = max(begin, after)
            if first < end:
                numbers = pa.array(range(first + 1, end + 1), pa.int64())
                kept = batch.slice(first - begin)
                yield Batch(numbered(numbers, {name: kept.column(name) for name in columns}), [], end)
            begin = end

    def _broken(self, error: Exception) -> SourceError:
        return SourceError(f"{self._origin}: not a readable Parquet file: {str(error).splitlines()[0]}")
