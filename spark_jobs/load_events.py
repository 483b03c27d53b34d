"""Sealed landing segments -> raw_events, each line once, whatever is rerun or killed."""

import argparse
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.landing import CHECKSUM_BYTES
from data_contracts.tables import LANDED, RAW_EVENTS
from spark_jobs.session import Lake, rows_drained, run_job

ENVELOPE = "table STRING, origin STRING, received_at TIMESTAMP, error STRING"
ROW_MARK = ',"row":'
FOR_EVER = "36500d"  # Spark skips files that are older than the newest seen by more than maxFileAge


def raw_events(lines: DataFrame) -> DataFrame:
    """Landing lines (value, segment, sealed_at) as rows of raw_events; a damaged line is kept as an error.

    The row's text is cut out as it was written, so that its hash is the same wherever it is computed.
    """
    body = F.expr(f"left(value, length(value) - {CHECKSUM_BYTES})")
    checksum = F.expr("substring(value, -10, 8)")
    with_body = lines.select("*", body.alias("body"), checksum.alias("checksum"))
    is_intact = F.col("checksum") == F.lower(F.lpad(F.hex(F.crc32(F.encode("body", "utf-8"))), 8, "0"))
    row_at = F.locate(ROW_MARK, F.col("body"))
    envelope = F.from_json(F.concat(F.expr("left(body, row_at - 1)"), F.lit("}")), ENVELOPE)
    row = F.nullif(F.expr(f"substring(body, row_at + {len(ROW_MARK)})"), F.lit("null"))
    parsed = (
        with_body.withColumn("is_intact", is_intact & (row_at > 0))
        .withColumn("row_at", row_at)
        .withColumn("envelope", F.when(F.col("is_intact"), envelope))
        .withColumn("row", F.when(F.col("is_intact"), row))
    )
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
        .when(~known, "meant for no table of the contract")
        .when(F.col("row").isNull(), "no row")
    )


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Load what was sealed since the last run; the stream's checkpoint and Delta's own mark make it exactly once."""
    lake.made(RAW_EVENTS)
    lake.settings.landing.mkdir(parents=True, exist_ok=True)
    lines = (
        lake.spark.readStream.format("text")
        .option("pathGlobFilter", "*.jsonl")
        .option("recursiveFileLookup", "true")
        .option("maxFileAge", FOR_EVER)
        .load(str(lake.settings.landing))
        .select(
            "value",
            F.regexp_extract("_metadata.file_path", "[^/]+/[^/]+$", 0).alias("segment"),
            F.col("_metadata.file_modification_time").alias("sealed_at"),
        )
    )
    stream = raw_events(lines).writeStream.format("delta")
    loaded = rows_drained(stream, lake.settings.checkpoints / "load_events", lake.path(RAW_EVENTS))
    return f"raw_events: {loaded} lines loaded"


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("load_events", description=__doc__))
