"""count_tiles, feature_sums -> the online snapshot that serving reads, built beside the old one and swapped in."""

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from pyspark.sql import functions as F

from data_contracts.features import Count
from data_contracts.keys import ALL, CONTEXT, USER, default_value, key_columns
from data_contracts.known_users import is_of_user, user_entries
from data_contracts.schema import Table
from data_contracts.snapshot import (
    A_USER,
    AD,
    META_KEY,
    SnapshotMeta,
    checksum_file,
    make_current,
    packed_attributes,
    packed_counts,
    snapshot_file,
    state_checksum,
    stored_key,
)
from data_contracts.tables import ADS, COUNT_TILES, USERS
from spark_jobs.counts import by_key_tuple, hourly_counts
from spark_jobs.feature_sums import sums_as_of
from spark_jobs.live_features import counts_of, feature_sets_in_use
from spark_jobs.session import Lake, as_of_seconds, run_job

Layout = Mapping[tuple[str, ...], Sequence[Count]]
KEPT = 2
"""How many snapshots stay: the one in use and the one before it."""
LARGEST_BYTES = 1 << 36
USERS_AT_ONCE = 50_000


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Publish the counts as of `as_of` of every entity seen within the longest window, and what is known of ads and
    users; a later snapshot stays."""
    seconds = as_of_seconds(as_of)
    newest = max((int(path.stem) for path in lake.settings.snapshots.glob("*.lmdb")), default=0)
    if newest > seconds:
        return "snapshot: already as of a later time"
    in_use = feature_sets_in_use(lake.settings)
    layout = by_key_tuple(counts_of(in_use))
    sums = {name: value for each in in_use for name, value in sums_as_of(lake, each, seconds).items()}
    prior = _prior(layout)
    totals = _totals(lake, seconds, prior)
    names = {key_columns(keys): [count.name for count in own] for keys, own in layout.items()}
    if sums:
        names[ALL] += sums
    own_prior = [count.name for count in prior] if prior and prior[0].keys == ("ad_id",) else []
    meta = SnapshotMeta(seconds, names, *totals, own_prior)
    held = publish(lake.settings.snapshots, meta, _entries(lake, seconds, layout, [*sums.values()]))
    return f"snapshot as of {as_of.isoformat()}: {held} entities, {totals[0]} impressions, {totals[1]} clicks"


def _entries(lake: Lake, as_of: int, layout: Layout, sums: Sequence[int]) -> Iterator[list[tuple[bytes, bytes]]]:
    """Keys and values, a part of the snapshot at a time; `sums` stand behind the counts of all."""
    of_users = []
    for keys, counts in layout.items():
        entities, text = _entities(lake, as_of, counts), key_columns(keys)
        if is_of_user(text):
            of_users.append(entities)
            continue
        if sums and not keys:
            of_all = dict(entities).get("", packed_counts([0] * len(counts)))
            entities = [("", of_all + packed_counts(sums))]
        yield [(stored_key(text, name), packed) for name, packed in entities]
    yield [(stored_key(AD, ad), packed_attributes(known)) for ad, known in _attributes(lake, as_of, AD, ADS, "ad_id")]
    entries = user_entries(_attributes(lake, as_of, A_USER, USERS, USER), of_users)
    while part := list(islice(entries, USERS_AT_ONCE)):
        yield part


def _entities(lake: Lake, as_of: int, counts: Sequence[Count]) -> list[tuple[str, bytes]]:
    """Packed counts of the entities of one key tuple, by name."""
    found = hourly_counts(lake.read(COUNT_TILES), counts, as_of).toArrow()
    values = np.stack([found.column(count.name).to_numpy() for count in counts], axis=1).astype("<i8")
    names = found.column("entity").to_pylist()
    return [(name, row.tobytes()) for name, row in zip(names, values, strict=True)]


def _attributes(lake: Lake, as_of: int, name: str, table: Table, own_id: str) -> list[tuple[str, dict[str, str]]]:
    """The newest row of each ad or user that was known before `as_of`, by id."""
    known = lake.read(table).where(F.unix_micros("received_at") < as_of * 1_000_000)
    columns = [column.name for column in table.event_columns if column.name != own_id]
    newest = known.groupBy(own_id).agg(F.max_by(F.struct(*columns), "received_at").alias("told"))
    rows = newest.toArrow().to_pylist(maps_as_pydicts="strict")
    return [(row[own_id], _by_key(name, row["told"])) for row in rows]


def _by_key(name: str, told: Mapping[str, Any]) -> dict[str, str]:
    """What was told, by key, without what says no more than its absence."""
    context = {f"{name}.{CONTEXT}{key}": value for key, value in told["features"].items()}
    own = {f"{name}.{column}": value for column, value in told.items() if column != "features"}
    return {key: value for key, value in {**own, **context}.items() if value != default_value(key)}


def _prior(layout: Layout) -> tuple[Count, Count] | None:
    """Impressions and clicks over the longest window that both are counted over: those of ads, where they are counted,
    else of whatever is. None when nothing counts both."""
    for keys in sorted(layout, key=lambda keys: keys != ("ad_id",)):
        windows = {event: {c.window for c in layout[keys] if c.event == event} for event in ("impressions", "clicks")}
        if shared := windows["impressions"] & windows["clicks"]:
            return Count(keys, "impressions", max(shared)), Count(keys, "clicks", max(shared))
    return None


def _totals(lake: Lake, as_of: int, prior: tuple[Count, Count] | None) -> tuple[int, int]:
    """Impressions and clicks of all entities over the window of the prior."""
    if prior is None:
        return 0, 0
    at, window = F.unix_seconds("hour"), prior[0].window
    tiles = lake.read(COUNT_TILES).where(F.col("keys") == key_columns(prior[0].keys))
    sums = tiles.where((at >= as_of - window) & (at < as_of)).agg(F.sum("impressions"), F.sum("clicks")).collect()[0]
    return sums[0] or 0, sums[1] or 0


def publish(snapshots: Path, meta: SnapshotMeta, parts: Iterable[list[tuple[bytes, bytes]]]) -> int:
    """Writes the snapshot beside the old one and swaps it in; gives the number of its entries."""
    snapshots.mkdir(parents=True, exist_ok=True)
    file, held = snapshot_file(snapshots, meta.as_of), 0
    for abandoned in snapshots.glob(".*.lmdb.*"):
        abandoned.unlink()
    building = snapshots / f".{file.name}.{os.getpid()}"
    with lmdb.open(str(building), subdir=False, map_size=LARGEST_BYTES, lock=False) as environment:
        with environment.begin(write=True) as transaction:
            for entries in parts:
                entries.sort()
                _, added = transaction.cursor().putmulti(entries)
                held += added
            transaction.put(META_KEY, meta.packed())
        environment.sync(True)
    state_checksum(building, file)
    building.rename(file)
    make_current(snapshots, file)
    for old in sorted(snapshots.glob("*.lmdb"), key=lambda path: int(path.stem))[:-KEPT]:
        old.unlink()
        checksum_file(old).unlink(missing_ok=True)
    return held


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("publish_counts", description=__doc__))
