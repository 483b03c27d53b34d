"""What a table does not take, as rows of rejected_events."""

from threading import Lock

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from data_contracts.schema import Table
from data_contracts.tables import CONTRACT_VERSION, LANDED, REJECTED_EVENTS
from spark_jobs.session import Lake

SAME_ID = "same id, other content: an earlier row holds it"
ONE_AT_A_TIME = Lock()
LOST = "content_hash <> winning_hash"
REFUSED = ("origin", "received_at", "content_hash", "reason")


def rejections(refused: DataFrame, table_name: str) -> DataFrame:
    """`refused` (origin, received_at, content_hash, reason) as rejected_events, one row a content and reason: the
    earliest arrival stands for all of them. Where received_at is part of the table's key, it is part of the content."""
    keyed_by_time = table_name in LANDED and "received_at" in LANDED[table_name].key
    told_at = [F.unix_micros("received_at").cast("string")] if keyed_by_time else []
    identity = F.concat_ws("|", F.lit(table_name), "content_hash", "reason", *told_at)
    rows = refused.select(
        F.sha2(identity, 256).alias("rejection_id"),
        F.lit(table_name).alias("table_name"),
        "origin",
        "received_at",
        "reason",
        F.lit(CONTRACT_VERSION).alias("contract_version"),
        "content_hash",
    )
    earliest = Window.partitionBy("rejection_id").orderBy("received_at", "origin")
    numbered = rows.withColumn("place", F.row_number().over(earliest))
    return numbered.where("place = 1").select(*REJECTED_EVENTS.column_names)


def refuse(lake: Lake, rejected: DataFrame) -> None:
    """Keep rows of rejected_events; of one that is there, the arrival that comes first."""
    earlier = "struct(s.received_at, s.origin) < struct(t.received_at, t.origin)"
    merge(lake, rejected, f"WHEN MATCHED AND {earlier} THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")


def refuse_losers(lake: Lake, table: Table, ranked: DataFrame, broken: DataFrame) -> None:
    """Keep the rows that lost their id, with those that broke the contract; and take back the rejections of content
    that an earlier arrival of the same has made the winner."""
    lost = ranked.where(LOST).withColumn("reason", F.lit(SAME_ID))
    refuse(lake, rejections(broken.select(*REFUSED).unionByName(lost.select(*REFUSED)), table.name))
    if not lost.isEmpty():
        won = ranked.where("place = 1").withColumn("reason", F.lit(SAME_ID))
        merge(lake, rejections(won, table.name), "WHEN MATCHED THEN DELETE")


def merge(lake: Lake, rows: DataFrame, clauses: str) -> None:
    """MERGE `rows` (s) into rejected_events (t) by rejection_id; `clauses` say what becomes of a match, and of none.
    Two of these at once would conflict: both rewrite what they find."""
    with ONE_AT_A_TIME:
        rows.createOrReplaceTempView("merged")
        target = f"delta.`{lake.path(REJECTED_EVENTS)}`"
        lake.spark.sql(f"MERGE INTO {target} t USING merged s ON t.rejection_id = s.rejection_id {clauses}")
