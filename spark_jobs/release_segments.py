"""Landing segments that raw_events is proven to hold, line for line, are deleted once they are old enough."""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from data_contracts.disk import sync
from data_contracts.labels import DAY
from data_contracts.tables import RAW_EVENTS
from spark_jobs.durability import make_durable
from spark_jobs.load_events import raw_events, with_segment
from spark_jobs.raw_retention import require_whole
from spark_jobs.session import JobError, Lake, run_job

PART = 15
"""Hex digits of a content hash that are added up as one number; four such sums make the fingerprint."""


def old_segments(landing: Path, before: float) -> list[Path]:
    """Sealed segments last written before the epoch second `before`. The newest of each producer is never among them:
    its number is what the next one is counted on from."""
    old = []
    for producer in sorted(path for path in landing.glob("*") if path.is_dir()):
        sealed = sorted(producer.glob("*.jsonl"), key=lambda path: int(path.stem))
        old += [path for path in sealed[:-1] if path.stat().st_mtime < before]
    return old


def fingerprints(rows: DataFrame) -> DataFrame:
    """A row a segment: its lines, how many of them are damaged, the days they were received, and `fingerprint`, the
    sum of the lines' SHA-256.

    Equal sums mean equal lines, each as often, in any order (AdHash, Bellare and Micciancio 1997).
    """
    said = F.struct("table_name", "origin", F.unix_micros("received_at").alias("at"), "row", "content_hash")
    digest = F.sha2(F.to_json(said), 256)
    parts = [F.conv(F.substring(digest, 1 + PART * n, PART), 16, 10).cast("DECIMAL(20, 0)") for n in range(4)]
    return rows.groupBy("segment").agg(
        F.count("*").alias("lines"),
        F.count_if(F.col("table_name") == "unknown").alias("damaged"),
        F.collect_set("received_date").alias("days"),
        F.array(*[F.sum(part) for part in parts]).alias("fingerprint"),
    )


def unproven(landed: dict[str, Row], held: dict[str, Row]) -> dict[str, str]:
    """Segments that raw_events is not proven to hold, with what is missing to the proof."""
    reasons = {}
    for segment, lines in landed.items():
        rows = held.get(segment)
        if lines["damaged"]:
            reasons[segment] = f"{lines['damaged']} of its {lines['lines']} lines are damaged"
        elif rows is None:
            reasons[segment] = "not loaded"
        elif rows["lines"] != lines["lines"]:
            reasons[segment] = f"{lines['lines']} lines, but {rows['lines']} rows of raw_events"
        elif rows["fingerprint"] != lines["fingerprint"]:
            reasons[segment] = "raw_events holds other rows than its lines"
    return reasons


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Release what is older than retention.landing_days by the files' own time and the machine's clock: a stated clock
    says nothing of files. JobError names the segments that raw_events holds in part or otherwise than landing does."""
    landing = lake.settings.landing
    old = old_segments(landing, time.time() - lake.settings.retention.landing_days * DAY)
    if not old:
        return "landing: no segment is old enough to be released"
    with lake.writing(RAW_EVENTS) as was_cut_short:
        require_whole(was_cut_short)
        landed = _by_segment(raw_events(with_segment(lake.spark.read.text([str(path) for path in old]))))
        reasons = unproven(landed, _held(lake, landed))
        # An empty file gives no line: there is nothing that raw_events could lack.
        released = [path for path in old if _segment(path) not in reasons]
        freed = sum(path.stat().st_size for path in released)
        make_durable(lake.settings.lake / RAW_EVENTS.name)
        _delete(released)
    said = f"landing: {len(released)} segments released, {freed} bytes"
    kept = "".join(f"\n  kept {segment}: {reason}" for segment, reason in sorted(reasons.items()))
    if any(reason != "not loaded" for reason in reasons.values()):
        raise JobError(f"{said}; not proven to be in raw_events:{kept}")
    return f"{said}{kept}"


def _segment(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _by_segment(rows: DataFrame) -> dict[str, Row]:
    return {row["segment"]: row for row in fingerprints(rows).collect()}


def _held(lake: Lake, landed: dict[str, Row]) -> dict[str, Row]:
    """The fingerprints of the same segments in raw_events, in one pass over the days that their lines are of."""
    days = sorted({day for row in landed.values() for day in row["days"]})
    rows = lake.read(RAW_EVENTS).where(F.col("received_date").isin(days) & F.col("segment").isin(list(landed)))
    return _by_segment(rows)


def _delete(segments: Iterable[Path]) -> None:
    """Deleted on disk, folder by folder, when this returns."""
    by_folder = defaultdict[Path, list[Path]](list)
    for path in segments:
        by_folder[path.parent].append(path)
    for folder, paths in by_folder.items():
        for path in paths:
            path.unlink()
        sync(folder)


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("release_segments", description=__doc__))
