"""count_tiles -> the online snapshot that serving reads, built beside the old one and swapped in by rename."""

import argparse
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import lmdb
from pyspark.sql import functions as F

from data_contracts.features import Count, FeatureSet, feature_set_path, load_feature_set
from data_contracts.snapshot import (
    META_KEY,
    SnapshotMeta,
    key_columns,
    make_current,
    packed_counts,
    snapshot_file,
    stored_key,
)
from data_contracts.tables import COUNT_TILES
from spark_jobs.counts import entity_counts
from spark_jobs.session import Lake, as_of_seconds, run_job

KEPT = 2
"""How many snapshots stay: the one in use and the one before it."""
LARGEST_BYTES = 1 << 36


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Publish the counts as of `as_of` of every entity seen within the longest window; a later snapshot stays."""
    seconds = as_of_seconds(as_of)
    newest = max((int(path.stem) for path in lake.settings.snapshots.glob("*.lmdb")), default=0)
    if newest > seconds:
        return "snapshot: already as of a later time"
    feature_set = load_feature_set(feature_set_path(lake.settings.features.feature_set))
    entries: dict[bytes, bytes] = {}
    totals = (0, 0)
    for keys in feature_set.key_tuples:
        counts = tuple(count for count in feature_set.counts if count.keys == keys)
        rows = _rows(lake, seconds, keys, counts)
        entries |= {stored_key(key_columns(keys), row[0]): packed_counts(row[1:]) for row in rows}
        totals = totals if any(totals) else _totals(rows, counts)
    meta = SnapshotMeta(seconds, _layout(feature_set), *totals)
    _publish(lake.settings.snapshots, meta, entries)
    return f"snapshot as of {as_of.isoformat()}: {len(entries)} entities, {totals[0]} impressions, {totals[1]} clicks"


def _layout(feature_set: FeatureSet) -> dict[str, list[str]]:
    return {
        key_columns(keys): [count.name for count in feature_set.counts if count.keys == keys]
        for keys in feature_set.key_tuples
    }


def _rows(lake: Lake, as_of: int, keys: tuple[str, ...], counts: tuple[Count, ...]) -> list[tuple[Any, ...]]:
    tiles = lake.read(COUNT_TILES).where(F.col("keys") == key_columns(keys))
    longest = max(count.window for count in counts)
    at = F.unix_seconds("hour")
    recent = tiles.where((at >= as_of - longest) & (at < as_of)).select("entity").distinct()
    asked = recent.withColumn("snapshot_at", F.lit(as_of).cast("bigint"))
    found = entity_counts(asked, tiles, counts).drop("snapshot_at").toArrow()
    return list(zip(*(column.to_pylist() for column in found.columns), strict=True))


def _totals(rows: Sequence[tuple[Any, ...]], counts: tuple[Count, ...]) -> tuple[int, int]:
    """Impressions and clicks of all entities over the longest window that both are counted over: what the prior CTR is
    made of. (0, 0) when no window is."""
    place = {(count.event, count.window): number for number, count in enumerate(counts, 1)}
    shared = [window for event, window in place if event == "clicks" and ("impressions", window) in place]
    if not shared:
        return 0, 0
    impressions, clicks = (sum(row[place[event, max(shared)]] for row in rows) for event in ("impressions", "clicks"))
    return impressions, clicks


def _publish(snapshots: Path, meta: SnapshotMeta, entries: dict[bytes, bytes]) -> None:
    snapshots.mkdir(parents=True, exist_ok=True)
    file = snapshot_file(snapshots, meta.as_of)
    for abandoned in snapshots.glob(".*.lmdb.*"):
        abandoned.unlink()
    building = snapshots / f".{file.name}.{os.getpid()}"
    with lmdb.open(str(building), subdir=False, map_size=LARGEST_BYTES, lock=False) as environment:
        with environment.begin(write=True) as transaction:
            for key in sorted(entries):
                transaction.put(key, entries[key], append=True)
            transaction.put(META_KEY, meta.packed())
        environment.sync(True)
    building.rename(file)
    make_current(snapshots, file)
    for old in sorted(snapshots.glob("*.lmdb"), key=lambda path: int(path.stem))[:-KEPT]:
        old.unlink()


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("publish_counts", description=__doc__))
