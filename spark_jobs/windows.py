"""Sums over windows of hourly tiles: arrays in, arrays out. Runs in Spark's Python workers."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.types import StructType

from data_contracts.features import HOUR, Count

HOUR_BITS = 24
"""Hours since 1970 fit into so many bits, and will for 1,900 years."""


class RunningSums:
    """Tiles (codes of entities from 0, hours since 1970, impressions, clicks; one entity and hour may come more than
    once) so that a sum over any window is the difference of two running sums, found by binary search."""

    def __init__(self, codes: Any, tiles: pa.Table) -> None:
        place = (codes << HOUR_BITS) + tiles.column("hour").to_numpy()
        order = np.argsort(place, kind="stable")
        self._place = place[order]
        self._running = {
            event: np.concatenate([[0], np.cumsum(tiles.column(event).to_numpy()[order])])
            for event in ("impressions", "clicks")
        }

    def sums(self, codes: Any, hours: Any, counts: Sequence[Count]) -> list[Any]:
        """Each count of each asked entity (-1 for none: 0) over [hour - window, hour), as int64."""
        own, asked = codes << HOUR_BITS, (codes << HOUR_BITS) + hours
        by_place = np.argsort(asked, kind="stable")  # neighbours are found in neighbouring memory
        own, asked = own[by_place], asked[by_place]
        ends = np.searchsorted(self._place, asked)
        starts = {
            window: np.searchsorted(self._place, np.maximum(asked - window // HOUR, own))
            for window in {count.window for count in counts}
        }
        found = []
        for count in counts:
            sums = np.empty(len(asked), np.int64)
            running = self._running[count.event]
            sums[by_place] = running[ends] - running[starts[count.window]]
            found.append(sums)
        return found


@dataclass(frozen=True)
class Then:
    """What becomes of rows in the step that counts them: `of` makes it of a table of rows with their counts, and
    `schema` is what it makes of theirs."""

    of: Callable[[pa.Table], pa.Table]
    schema: Callable[[StructType], StructType]


@dataclass(frozen=True)
class ShippedTiles:
    """Tiles of several key tuples on their way to every worker, as bytes that are small; unpacked there once."""

    keys: frozenset[str]
    content: bytes

    @classmethod
    def packed(cls, tiles: pa.Table, keys: Collection[str]) -> "ShippedTiles":
        """Of keys, entity, hour (since 1970), impressions and clicks."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, tiles.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(tiles)
        return cls(frozenset(keys), sink.getvalue().to_pybytes())

    def counts_of(self, keys: str, entities: pa.ChunkedArray, hours: Any, counts: Sequence[Count]) -> list[Any]:
        """Each count of each asked entity of a key tuple, null for none, as of its hour."""
        if keys not in self._sums:
            return [np.zeros(len(entities), np.int64) for _ in counts]
        known, sums = self._sums[keys]
        codes = pc.index_in(entities, known).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return sums.sums(codes, hours, counts)

    @cached_property
    def _sums(self) -> dict[str, tuple[pa.Array, RunningSums]]:
        tiles = pa.ipc.open_stream(self.content).read_all()
        found = {}
        for keys in tiles.column("keys").unique().to_pylist():
            own = tiles.filter(pc.equal(tiles.column("keys"), keys))
            entities, (seen,) = codes_of(own.column("entity"))
            found[keys] = entities, RunningSums(seen, own)
        return found


def codes_of(*columns: pa.ChunkedArray) -> tuple[pa.Array, list[Any]]:
    """The distinct texts of all columns, and each column as their places, -1 for null."""
    chunks = [chunk for column in columns for chunk in column.chunks]
    encoded = pa.chunked_array(chunks, type=pa.string()).combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return encoded.dictionary, np.split(codes, np.cumsum([len(column) for column in columns])[:-1])


def counts_of_rows(tiles: pa.Table, entities: pa.ChunkedArray, hours: Any, counts: Sequence[Count]) -> list[Any]:
    """Each count of each asked entity, null for none, as of its hour."""
    _, (seen, asked) = codes_of(tiles.column("entity"), entities)
    return RunningSums(seen, tiles).sums(asked, hours, counts)


def counts_as_of(tiles: pa.Table, hour: int, counts: Sequence[Count]) -> pa.Table:
    """entity and each count as of an hour since 1970, without rows of nothing but 0."""
    entities, (seen,) = codes_of(tiles.column("entity"))
    codes = np.arange(len(entities))
    sums = RunningSums(seen, tiles).sums(codes, np.full(len(codes), hour), counts)
    kept = np.any(sums, axis=0)
    columns = {"entity": entities.take(pa.array(codes[kept]))}
    return pa.table(columns | {count.name: own[kept] for count, own in zip(counts, sums, strict=True)})
