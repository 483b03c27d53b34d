"""Which days of raw_events may go: old enough, refined, and no longer in landing."""

import json
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

from pyspark.sql import functions as F

from data_contracts.tables import RAW_EVENTS
from spark_jobs.delta_log import newest_version, touched_partitions
from spark_jobs.durability import is_whole_checkpoint
from spark_jobs.locks import LockError
from spark_jobs.session import Lake


def require_whole(was_cut_short: bool) -> None:
    """LockError while a load that was cut short is not made good: only load_events knows how, and it must still be told
    so by the lock that this run gives back."""
    if was_cut_short:
        raise LockError("the last load of raw_events was cut short: run load_events first")


def expired_days(lake: Lake, as_of: datetime) -> list[date]:
    """Partitions of raw_events that lie wholly before as_of - retention.raw_days, that refine_events is done with, and
    whose segments are all released: what landing still holds must stay provable."""
    before = (as_of - timedelta(days=lake.settings.retention.raw_days)).date()
    old = lake.read(RAW_EVENTS).where(F.col("received_date") < F.lit(before))
    segments = defaultdict[date, set[str]](set)
    for row in old.select("received_date", "segment").distinct().collect():
        segments[row["received_date"]].add(row["segment"])
    waiting = unrefined_days(lake.settings.lake / RAW_EVENTS.name, lake.settings.checkpoints / "refine_events")
    if waiting is None:
        return []
    landing = lake.settings.landing
    return sorted(
        day for day, named in segments.items() if day not in waiting and not any((landing / s).exists() for s in named)
    )


def unrefined_days(table: Path, checkpoint: Path) -> set[date] | None:
    """The days that got rows after what the refine stream has finished; None when it has not finished its first pass,
    or when the commits since are no longer in the table's log, so that any day may have."""
    done = _finished_before(checkpoint)
    touched = None if done is None else touched_partitions(table, done - 1, newest_version(table))
    return None if touched is None else {date.fromisoformat(str(day["received_date"])) for day in touched}


def _finished_before(checkpoint: Path) -> int | None:
    """The version of raw_events before which the stream has committed every row; None in its first pass, and when its
    checkpoint is torn."""
    batches = [int(path.name) for path in (checkpoint / "commits").glob("*") if path.name.isdecimal()]
    if not batches or not is_whole_checkpoint(checkpoint):
        return None
    # Three lines: the log's own version, the batch's conf, the Delta source's offset.
    offset = json.loads((checkpoint / "offsets" / str(max(batches))).read_text().splitlines()[2])
    return None if offset["isStartingVersion"] else int(offset["reservoirVersion"])
