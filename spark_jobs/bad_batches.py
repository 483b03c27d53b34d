"""A batch too broken to go on with: told by its share of broken rows, before any of it is in a table."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.sections import Ingest

COMMONEST = 3


class BadBatchError(ValueError):
    """More rows of a batch break their contract than ingest.worst_rejected_share allows."""


@dataclass(frozen=True)
class CheckedRows:
    """Rows of a batch with their `reason`, kept by Spark: how many, how many have a reason, and the id_hash of those
    that have none, kept apart, since to read whole rows for it takes ten times as long."""

    rows: DataFrame
    accepted_ids: DataFrame
    total: int
    broken: int


def counted(rows: DataFrame) -> CheckedRows:
    """Kept row by row, on the disk: to bring them into columns costs more than the few times that they are read, and in
    memory they cost more of the JVM's collector than the disk does."""
    kept = rows.localCheckpoint(storageLevel=StorageLevel.DISK_ONLY)
    marked = kept.select("id_hash", F.isnotnull("reason").alias("is_broken")).localCheckpoint()
    count = marked.agg(F.count("*").alias("total"), F.count_if("is_broken").alias("broken")).collect()[0]
    return CheckedRows(kept, marked.where("NOT is_broken").select("id_hash"), count["total"], count["broken"])


def judge(batch: Sequence[CheckedRows], limits: Ingest) -> None:
    """Raises BadBatchError, with the commonest reasons, when too many rows of a batch have one."""
    total, broken = sum(part.total for part in batch), sum(part.broken for part in batch)
    if total < limits.least_batch_events or broken <= limits.worst_rejected_share * total:
        return
    reasons = Counter[str]()
    for part in batch:
        for row in part.rows.where("reason IS NOT NULL").groupBy("reason").count().collect():
            reasons[row["reason"]] += row["count"]
    commonest = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(COMMONEST))
    raise BadBatchError(
        f"{broken:,} of {total:,} rows of this batch break their contract, more than "
        f"{limits.worst_rejected_share:.0%} (ingest.worst_rejected_share): none of it is in a table yet, all of it "
        f"is in raw_events. Most often: {commonest}. "
        "Mend the contract and run again, or let it through with --let-bad-batch-through"
    )


def refusal(error: Exception) -> str:
    """What BadBatchError said, out of the error of the stream that it ended; empty when something else did."""
    found = re.search(rf"{BadBatchError.__name__}: (.+)", str(error))
    return found.group(1).strip() if found else ""
