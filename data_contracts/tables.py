"""The tables of the lake: one `Table` value a table, from which every schema, view, check and page is rendered."""

from data_contracts.schema import Column, Table

CONTRACT_VERSION = "1"

RECEIVED_AT = Column("received_at", "TIMESTAMP", "when the platform came to know the row; what looks back looks by it")
CONTENT_HASH = Column("content_hash", "STRING", "SHA-256 of the row as landed; with received_at it decides which wins")
ORIGIN = Column("origin", "STRING", "file and line the row came from")
DATE = Column("date", "DATE", "UTC day of the row's own time; the partition")
TRACE = (RECEIVED_AT, CONTENT_HASH, ORIGIN)

USER_ID = Column("user_id", "STRING", "keyed pseudonym of the user (UUID-shaped); the raw id never reaches a disk")
AD_ID = Column("ad_id", "STRING", "the ad")
CAMPAIGN_ID = Column("campaign_id", "STRING", "the campaign the ad belongs to", default="unknown")
ADVERTISER_ID = Column("advertiser_id", "STRING", "the advertiser that pays", default="unknown")
POSITION = Column("position", "INT", "slot on the page, 1 is the best", nullable=True, minimum=1, maximum=1000)
PROPENSITY = Column(
    "propensity",
    "DOUBLE",
    "probability with which this ad was chosen",
    nullable=True,
    minimum=0,
    maximum=1,
)
EXPERIMENT = Column("experiment", "STRING", "experiment the request took part in", default="none")
VARIANT = Column("variant", "STRING", "variant of the experiment", default="none")
REQUEST_ID = Column("request_id", "STRING", "the ad request, shared by all ads of its slate", nullable=True)
CONSENT = Column(
    "consent", "STRING", "may the user's history be used", default="unknown", allowed=("granted", "denied", "unknown")
)
FEATURES = Column("features", "MAP<STRING,STRING>", "any other context the client sent, as text", default="{}")

AD_IMPRESSIONS = Table(
    "ad_impressions",
    "An ad shown once.",
    (
        Column("impression_id", "STRING", "UUID of the impression"),
        USER_ID,
        AD_ID,
        Column("timestamp", "TIMESTAMP", "when the ad was shown"),
        Column("device_type", "STRING", "kind of device", default="unknown"),
        Column("location", "STRING", "coarse place", default="unknown"),
        FEATURES,
        REQUEST_ID,
        CAMPAIGN_ID,
        ADVERTISER_ID,
        POSITION,
        PROPENSITY,
        EXPERIMENT,
        VARIANT,
        CONSENT,
        Column("user_agent_class", "STRING", "browser, app, crawler, ...", default="unknown"),
        *TRACE,
        DATE,
    ),
    key=("impression_id",),
    partition_by=("date",),
    landed=True,
)

CLICKS = Table(
    "clicks",
    "A click (or a stated non-click) on an impression; may arrive before its impression.",
    (
        Column("click_id", "STRING", "UUID of the click"),
        Column("impression_id", "STRING", "the impression clicked on"),
        Column("clicked", "BOOLEAN", "true for a click; false is a stated non-click", default="true"),
        Column("timestamp", "TIMESTAMP", "when the click happened"),
        Column("user_id", "STRING", "keyed pseudonym of the user, when the client sent it", nullable=True),
        *TRACE,
        DATE,
    ),
    key=("click_id",),
    partition_by=("date",),
    landed=True,
)

ADS = Table(
    "ads",
    "What is known of an ad, a row each time it is told; as of T the newest row received before T holds.",
    (
        AD_ID,
        CAMPAIGN_ID,
        ADVERTISER_ID,
        Column("topic", "STRING", "what the ad is about", default="unknown"),
        FEATURES,
        *TRACE,
    ),
    key=("ad_id", "received_at"),
    landed=True,
)

USERS = Table(
    "users",
    "What a user declared, a row each time it is told; as of T the newest row received before T holds.",
    (USER_ID, CONSENT, FEATURES, *TRACE),
    key=("user_id", "received_at"),
    landed=True,
)

MODEL_PREDICTIONS = Table(
    "model_predictions",
    "One score that was given out, with everything it was computed from.",
    (
        Column("prediction_id", "STRING", "UUID of the prediction"),
        Column("impression_id", "STRING", "UUID the impression carries if this ad is shown"),
        REQUEST_ID,
        USER_ID,
        AD_ID,
        POSITION,
        PROPENSITY,
        EXPERIMENT,
        VARIANT,
        Column("model_version", "STRING", "version of the registered model; none when no model answered"),
        Column("probability", "DOUBLE", "calibrated probability of a click", minimum=0, maximum=1),
        Column("predicted_at", "TIMESTAMP", "when the score was computed"),
        Column("source", "STRING", "what answered", allowed=("model", "stale_counts", "prior")),
        Column("counts_as_of", "TIMESTAMP", "exclusive end of what the counts had seen", nullable=True),
        Column("features", "MAP<STRING,DOUBLE>", "the inputs as used: request fields and counts", default="{}"),
        Column("feature_set_hash", "STRING", "the definitions that turned inputs into features", default="none"),
        *TRACE,
        DATE,
    ),
    key=("prediction_id",),
    partition_by=("date",),
    landed=True,
)

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
    ),
    key=("table_name", "as_of", "expectation", "column_name"),
)

COUNT_TILES = Table(
    "count_tiles",
    "Impressions and clicks an entity and hour, by when they became known.",
    (
        Column("keys", "STRING", "key columns of the entity, joined by |"),
        Column("entity", "STRING", "their values, joined by |"),
        Column("hour", "TIMESTAMP", "start of the hour in which the events became known"),
        Column("impressions", "BIGINT", "impressions of the hour", minimum=0),
        Column("clicks", "BIGINT", "clicks of the hour", minimum=0),
    ),
    key=("keys", "entity", "hour"),
    partition_by=("keys",),
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

TRAINING_SETS = Table(
    "training_sets",
    "Mature labels with the counts that serving could have held when each ad was shown.",
    (
        Column("training_set_id", "STRING", "feature set hash and as_of"),
        Column("feature_set_hash", "STRING", "the definitions used"),
        Column("as_of", "TIMESTAMP", "exclusive end of what was known"),
        Column("impression_id", "STRING", "the impression"),
        USER_ID,
        Column("timestamp", "TIMESTAMP", "when the ad was shown"),
        Column("snapshot_at", "TIMESTAMP", "as_of of the counts serving could have held"),
        Column("clicked", "INT", "the label", allowed=("0", "1")),
        Column("inputs", "MAP<STRING,DOUBLE>", "request fields and counts"),
        Column("features", "ARRAY<DOUBLE>", "the model's inputs, in the feature set's order"),
    ),
    key=("training_set_id", "impression_id"),
    partition_by=("training_set_id",),
)

TABLES = {
    table.name: table
    for table in (
        AD_IMPRESSIONS, CLICKS, ADS, USERS, MODEL_PREDICTIONS, RAW_EVENTS, REJECTED_EVENTS, VALIDATION_RESULTS,
        COUNT_TILES, LABELS, TRAINING_SETS,
    )
}  # fmt: skip
LANDED = {name: table for name, table in TABLES.items() if table.landed}
