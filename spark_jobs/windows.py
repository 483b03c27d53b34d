"""Sums over windows of hourly tiles: arrays in, arrays out. Runs in Spark's Python workers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from data_contracts.features import Count

HOUR_BITS = 24
"""Hours since 1970 fit into so many bits, and will for 1,900 years."""


def window_sums(tiles: pa.Table, entities: pa.Array, hours: Any, counts: Sequence[Count]) -> list[Any]:
    """Each count of each asked entity (a string, null for none) as of the start of an hour (since 1970), as int64.

    `tiles` (entity, hour since 1970, impressions, clicks) may hold an entity and hour more than once. A sum over
    [hour - window, hour) is the difference of two running sums, found by binary search.
    """
    both = pa.chunked_array([*tiles.column("entity").chunks, entities], type=pa.string()).combine_chunks()
    codes = both.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) << HOUR_BITS
    place = codes[: tiles.num_rows] + tiles.column("hour").to_numpy()
    order = np.argsort(place, kind="stable")
    place = place[order]
    running = {
        event: np.concatenate([[0], np.cumsum(tiles.column(event).to_numpy()[order])])
        for event in ("impressions", "clicks")
    }
    own, asked = codes[tiles.num_rows :], codes[tiles.num_rows :] + hours
    by_place = np.argsort(asked, kind="stable")  # neighbours are found in neighbouring memory
    asked, own = asked[by_place], own[by_place]
    ends = np.searchsorted(place, asked)
    starts = {
        window: np.searchsorted(place, np.maximum(asked - window // 3600, own))
        for window in {count.window for count in counts}
    }
    found = []
    for count in counts:
        sums = np.empty(len(asked), np.int64)
        sums[by_place] = running[count.event][ends] - running[count.event][starts[count.window]]
        found.append(sums)
    return found
