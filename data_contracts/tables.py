"""The tables of the lake: one `Table` value a table, from which every schema, view, check and page is rendered."""

from data_contracts.landed_tables import (
    AD_IMPRESSIONS,
    ADS,
    CLICKS,
    CONTENT_HASH,
    DATE,
    MODEL_PREDICTIONS,
    ORIGIN,
    RECEIVED_AT,
    SHADOW_PREDICTIONS,
    USER_ID,
    USERS,
)
from data_contracts.model_tables import MODEL_COMPARISONS, MODEL_METADATA
from data_contracts.schema import Column, Table

__all__ = [
    "ADS",
    "AD_IMPRESSIONS",
    "CLICKS",
    "CLICK_JOINS",
    "CONTRACT_VERSION",
    "COUNT_TILES",
    "FEATURE_SUMS",
    "HOLDOUTS",
    "LABELS",
    "LANDED",
    "MODEL_COMPARISONS",
    "MODEL_METADATA",
    "MODEL_PREDICTIONS",
    "RAW_EVENTS",
    "REJECTED_EVENTS",
    "SHADOW_PREDICTIONS",
    "TABLES",
    "TABLE_SIZES",
    "TRAINING_SETS",
    "USERS",
    "VALIDATION_RESULTS",
]

CONTRACT_VERSION = "4"

RAW_EVENTS = Table(
    "raw_events",
    "Every landed line as it came, append-only.",
    (
        Column("table_name", "STRING", "the table the line is meant for; unknown when the line is damaged"),
        ORIGIN,
        RECEIVED_AT,
        Column("row", "STRING", "the row as JSON text", nullable=True),
        Column("error", "STRING", "why there is no usable row", nullable=True),
        CONTENT_HASH,
        Column("segment", "STRING", "landing segment that held the line"),
        Column("received_date", "DATE", "UTC day of received_at; the partition"),
    ),
    key=("segment", "origin", "content_hash"),
    partition_by=("received_date",),
)

REJECTED_EVENTS = Table(
    "rejected_events",
    "Lines that broke their contract: why, and where from. raw_events holds the row, by content_hash.",
    (
        Column("rejection_id", "STRING", "SHA-256 of table, content and reason"),
        Column("table_name", "STRING", "the table the line was meant for"),
        ORIGIN,
        RECEIVED_AT,
        Column("reason", "STRING", "what is wrong with it"),
        Column("contract_version", "STRING", "version of the contract that refused it"),
        CONTENT_HASH,
    ),
    key=("rejection_id",),
)

VALIDATION_RESULTS = Table(
    "validation_results",
    "What Great Expectations found, one row an expectation and run.",
    (
        Column("table_name", "STRING", "the table that was checked"),
        Column("as_of", "TIMESTAMP", "the run's as_of"),
        Column("expectation", "STRING", "the expectation's type"),
        Column("column_name", "STRING", "the column, if it is about one", nullable=True),
        Column("success", "BOOLEAN", "did the table meet it"),
        Column("detail", "STRING", "the expectation's bounds, or the error that kept it from running"),
        Column("table_version", "BIGINT", "the Delta version that was checked", nullable=True, minimum=0),
        Column("rows_checked", "BIGINT", "rows of the partitions that were checked", nullable=True, minimum=0),
        Column("checked_at", "TIMESTAMP", "when it was checked, by the machine's clock", nullable=True),
    ),
    key=("table_name", "as_of", "expectation", "column_name"),
)

COUNTED_VERSIONS = (
    Column("impressions_version", "BIGINT", "version of ad_impressions that is counted with this", minimum=-1),
    Column("clicks_version", "BIGINT", "version of clicks", minimum=-1),
    Column("ads_version", "BIGINT", "version of ads", minimum=-1),
    Column("users_version", "BIGINT", "version of users", minimum=-1),
)

COUNT_TILES = Table(
    "count_tiles",
    "Impressions and clicks an entity and hour, by when they became known: sum over an entity and hour. Each run adds "
    "what has changed, which may be less than nothing.",
    (
        Column("keys", "STRING", "keys of the entity, joined by |"),
        Column("entity", "STRING", "their values, joined by |"),
        Column("hour", "TIMESTAMP", "start of the hour in which the events became known"),
        Column("impressions", "BIGINT", "impressions of the hour"),
        Column("clicks", "BIGINT", "clicks of the hour that make a label"),
        *COUNTED_VERSIONS,
    ),
    key=("keys", "entity", "hour", *(column.name for column in COUNTED_VERSIONS)),
    partition_by=("keys",),
    derived=True,
)

FEATURE_SUMS = Table(
    "feature_sums",
    "What features come to over all impressions of an hour, by when these became known: each impression with the "
    "feature as serving could have had it.",
    (
        Column("feature_set_hash", "STRING", "the definitions used"),
        Column("feature", "STRING", "the feature"),
        Column("hour", "TIMESTAMP", "start of the hour in which the impressions became known"),
        Column("total", "BIGINT", "its sum, in whole millionths"),
        *COUNTED_VERSIONS,
    ),
    key=("feature_set_hash", "feature", "hour"),
    derived=True,
)

LABELS = Table(
    "labels",
    "What became of each impression, as known at as_of. Mature rows are those with matures_at <= as_of.",
    (
        Column("impression_id", "STRING", "the impression"),
        Column("timestamp", "TIMESTAMP", "when the ad was shown"),
        Column("state", "STRING", "pending is not yet not_clicked", allowed=("pending", "clicked", "not_clicked")),
        Column("matures_at", "TIMESTAMP", "from when the label may be believed"),
        Column("as_of", "TIMESTAMP", "exclusive end of what was known when this label was made"),
        DATE,
    ),
    key=("impression_id",),
    partition_by=("date",),
)

LABELLED = (
    Column("as_of", "TIMESTAMP", "exclusive end of what was known"),
    Column("impression_id", "STRING", "the impression"),
    USER_ID,
    Column("timestamp", "TIMESTAMP", "when the ad was shown"),
    Column("snapshot_at", "TIMESTAMP", "as_of of the counts serving could have held"),
    Column("clicked", "INT", "the label", allowed=("0", "1")),
)
"""A mature impression with its label, as training sets and holdouts hold it."""

TRAINING_SETS = Table(
    "training_sets",
    "Mature labels with the counts that serving could have held when each ad was shown.",
    (
        Column("training_set_id", "STRING", "feature set hash and as_of"),
        Column("feature_set_hash", "STRING", "the definitions used"),
        *LABELLED,
        Column("features", "ARRAY<FLOAT>", "what the trees see, in the feature set's order"),
    ),
    key=("training_set_id", "impression_id"),
    partition_by=("training_set_id",),
    derived=True,
)

HOLDOUTS = Table(
    "holdouts",
    "What a challenger and the champion are judged on: their inputs, made from the tables again after training.",
    (
        Column("holdout_id", "STRING", "training set of the challenger, and the champion's feature set hash"),
        *LABELLED,
        Column("inputs", "MAP<STRING,DOUBLE>", "request fields, numbers and counts of both models by name"),
    ),
    key=("holdout_id", "impression_id"),
    partition_by=("holdout_id",),
    derived=True,
)

CLICK_JOINS = Table(
    "click_joins",
    "How the clicks of a day stand with their impressions, as known at as_of.",
    (
        Column("date", "DATE", "UTC day of the clicks"),
        Column("as_of", "TIMESTAMP", "exclusive end of what was known"),
        Column("clicks", "BIGINT", "clicks of the day (clicked = true)", minimum=0),
        Column("joined", "BIGINT", "of them, those whose impression is known", minimum=0),
        Column("waiting", "BIGINT", "of them, those whose impression may still come", minimum=0),
        Column("orphaned", "BIGINT", "of them, those that waited in vain; kept, and no label", minimum=0),
        Column("before_impression", "BIGINT", "of the joined, those with a time before their impression", minimum=0),
        Column("after_window", "BIGINT", "of the joined, those after the attribution window", minimum=0),
    ),
    key=("date",),
)

TABLE_SIZES = Table(
    "table_sizes",
    "How large each table is, as maintain_tables left it.",
    (
        Column("table_name", "STRING", "the table"),
        Column("as_of", "TIMESTAMP", "the run's as_of"),
        Column("version", "BIGINT", "the table's Delta version", minimum=0),
        Column("files", "BIGINT", "Parquet files of that version", minimum=0),
        Column("small_files", "BIGINT", "of them, those under a quarter of the target size", minimum=0),
        Column("size_bytes", "BIGINT", "bytes of these files", minimum=0),
        Column("folder_bytes", "BIGINT", "bytes of all files in the table's folder, old versions included", minimum=0),
    ),
    key=("table_name", "as_of"),
)

TABLES = {
    table.name: table
    for table in (
        AD_IMPRESSIONS, CLICKS, ADS, USERS, MODEL_PREDICTIONS, SHADOW_PREDICTIONS, RAW_EVENTS, REJECTED_EVENTS,
        VALIDATION_RESULTS, COUNT_TILES, FEATURE_SUMS, LABELS, TRAINING_SETS, HOLDOUTS, CLICK_JOINS, MODEL_METADATA,
        MODEL_COMPARISONS, TABLE_SIZES,
    )
}  # fmt: skip
LANDED = {name: table for name, table in TABLES.items() if table.landed}
