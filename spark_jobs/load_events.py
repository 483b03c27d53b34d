"""Sealed landing segments -> raw_events, each line once, whatever is rerun or killed."""

import argparse
import time
from datetime import datetime
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.landing import CHECKSUM_BYTES
from data_contracts.tables import LANDED, RAW_EVENTS
from data_contracts.watermark import open_before
from spark_jobs.durability import is_whole_checkpoint, set_aside
from spark_jobs.session import JobError, Lake, drain, run_job
from spark_jobs.steps import reached

ENVELOPE = "table STRING, origin STRING, received_at TIMESTAMP, error STRING"
ROW_MARK = ',"row":'
NO_TABLE = "meant for no table of the contract"
SEAL_SECONDS = 60
FOR_EVER = "36500d"  # Spark skips files that are older than the newest seen by more than maxFileAge


def raw_events(lines: DataFrame) -> DataFrame:
    """Landing lines (value, segment, sealed_at) as rows of raw_events; a damaged line is kept as an error.

    The row's text is cut out as it was written, so that its hash is the same wherever it is computed.
    """
    written = F.col("value").cast("binary")  # cut by bytes: to count characters costs more than the rest
    body = F.substring(written, F.lit(1), F.octet_length("value") - CHECKSUM_BYTES)
    checksum = F.substring(written, -10, 8).cast("string")
    is_intact = checksum == F.lower(F.lpad(F.hex(F.crc32("body")), 8, "0"))
    cut = (
        lines.withColumn("body", body)
        .withColumn("row_at", F.locate(ROW_MARK, F.col("value")))
        .withColumn("is_intact", is_intact & (F.col("row_at") > 0))
        .withColumn("head", F.expr("left(value, row_at - 1)"))
    )
    row = F.expr(f"CAST(substring(body, octet_length(head) + {len(ROW_MARK) + 1}) AS STRING)")
    parsed = cut.withColumn(
        "envelope", F.when(F.col("is_intact"), F.from_json(F.concat("head", F.lit("}")), ENVELOPE))
    ).withColumn("row", F.when(F.col("is_intact"), F.nullif(row, F.lit("null"))))
    received_at = F.coalesce("envelope.received_at", "sealed_at")
    # The same source line gives the same content, whenever it is imported.
    without_row = F.when(F.col("is_intact"), F.concat_ws("|", "envelope.table", "envelope.origin", "envelope.error"))
    return parsed.select(
        F.coalesce("envelope.table", F.lit("unknown")).alias("table_name"),
        F.coalesce("envelope.origin", "segment").alias("origin"),
        received_at.alias("received_at"),
        "row",
        _error().alias("error"),
        F.sha2(F.coalesce("row", without_row, "value"), 256).alias("content_hash"),
        "segment",
        F.to_date(received_at).alias("received_date"),
    )


def _error() -> F.Column:
    known = F.col("envelope.table").isin(list(LANDED))
    return (
        F.when(~F.col("is_intact"), "the landing line is damaged: its checksum does not match")
        .when(F.col("envelope.error").isNotNull(), F.col("envelope.error"))
        .when(~known, NO_TABLE)
        .when(F.col("row").isNull(), "no row")
    )


def with_segment(text: DataFrame) -> DataFrame:
    """Lines of a text source with the segment they stand in and when it was sealed."""
    return text.select(
        "value",
        F.substring_index("_metadata.file_path", "/", -2).alias("segment"),
        F.col("_metadata.file_modification_time").alias("sealed_at"),
    )


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Load what was sealed since the last run. The stream's checkpoint and Delta's own mark make it exactly once; after
    a run that was cut short nothing is taken on trust, and raw_events itself says which segments it holds."""
    checkpoint = lake.settings.checkpoints / "load_events"
    lake.settings.landing.mkdir(parents=True, exist_ok=True)
    _await_sealed(lake.settings.landing, as_of)
    with lake.writing(RAW_EVENTS) as was_cut_short:
        reached(lake.settings.home, "load_events.plan")
        if not is_whole_checkpoint(checkpoint):
            was_cut_short = True
            set_aside(checkpoint, lake.settings.home / "damaged")
        before = lake.count(RAW_EVENTS)
        _stream(lake, checkpoint, was_cut_short)
        if was_cut_short:
            _make_good(lake)
        loaded = lake.count(RAW_EVENTS) - before
        reached(lake.settings.home, "load_events.committed")
    return f"raw_events: {loaded} lines loaded"


def _await_sealed(landing: Path, as_of: datetime) -> None:
    """Counts as of an hour are complete once every row received before it is loaded: wait for segments that hold some
    and are still open. Raises JobError for one that does not get sealed."""
    deadline = time.monotonic() + SEAL_SECONDS
    while waiting := open_before(landing, as_of):
        if time.monotonic() > deadline:
            names = ", ".join(sorted({path.parent.name for path in waiting}))
            raise JobError(
                f"{names} still writes rows received before {as_of.isoformat()}, and has not sealed them for"
                f" {SEAL_SECONDS} s: run again when it is done"
            )
        time.sleep(0.2)


def _stream(lake: Lake, checkpoint: Path, was_cut_short: bool) -> None:
    """Load the segments that the stream has not seen; when in doubt, without those that raw_events holds."""
    text = (
        lake.spark.readStream.format("text")
        .option("pathGlobFilter", "*.jsonl")
        .option("recursiveFileLookup", "true")
        .option("maxFileAge", FOR_EVER)
        .option("maxBytesPerTrigger", lake.settings.ingest.batch_bytes)
        .load(str(lake.settings.landing))
    )
    lines = with_segment(text)
    if was_cut_short:
        lines = lines.join(F.broadcast(_loaded_segments(lake)), on="segment", how="left_anti")
    drain(raw_events(lines).writeStream.format("delta"), checkpoint, lake.path(RAW_EVENTS))


def _make_good(lake: Lake) -> None:
    """Load the segments that a stream after a power cut takes for loaded, and raw_events does not hold."""
    held = {row["segment"] for row in _loaded_segments(lake).collect()}
    lost = [path for path in lake.settings.landing.glob("*/*.jsonl") if "/".join(path.parts[-2:]) not in held]
    if lost:
        lines = with_segment(lake.spark.read.text([str(path) for path in lost]))
        raw_events(lines).write.format("delta").mode("append").save(lake.path(RAW_EVENTS))


def _loaded_segments(lake: Lake) -> DataFrame:
    """The segments that raw_events holds: whole, since one commit adds a segment whole."""
    return lake.read(RAW_EVENTS).select("segment").distinct()


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("load_events", description=__doc__))
