"""The tables that events land in: impressions, clicks, predictions, and what is known of ads and users."""

from data_contracts.schema import Column, Table

RECEIVED_AT = Column("received_at", "TIMESTAMP", "when the platform came to know the row; what looks back looks by it")
CONTENT_HASH = Column("content_hash", "STRING", "SHA-256 of the row as landed; with received_at it decides which wins")
ORIGIN = Column("origin", "STRING", "file and line the row came from")
DATE = Column("date", "DATE", "UTC day of the row's own time; the partition")
CLOCK_SKEW = 300
"""Seconds by which a row's own time may lie after received_at before it is taken for the mark of a wrong clock."""
IS_CLOCK_SKEWED = Column(
    "is_clock_skewed",
    "BOOLEAN",
    f"the row's own time lies over {CLOCK_SKEW // 60} minutes after received_at; null in rows of contract version 1",
    nullable=True,
)
TRACE = (RECEIVED_AT, CONTENT_HASH, ORIGIN)
ID_HASH = Column(
    "id_hash",
    "BIGINT",
    "xxhash64 of the key, by which a repeated id is found without reading the key",
)

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
        IS_CLOCK_SKEWED,
        ID_HASH,
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
        IS_CLOCK_SKEWED,
        ID_HASH,
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
        ID_HASH,
    ),
    key=("ad_id", "received_at"),
    landed=True,
)

USERS = Table(
    "users",
    "What a user declared, a row each time it is told; as of T the newest row received before T holds.",
    (USER_ID, CONSENT, FEATURES, *TRACE, ID_HASH),
    key=("user_id", "received_at"),
    landed=True,
)

SOURCES = ("model", "canary", "stale_counts", "previous_model", "prior")
"""What answers a request for scores; the ladder of serving.scoring."""

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
        Column("source", "STRING", "what answered", allowed=SOURCES),
        Column("counts_as_of", "TIMESTAMP", "exclusive end of what the counts had seen", nullable=True),
        Column("features", "MAP<STRING,DOUBLE>", "the inputs as used: request fields and counts", default="{}"),
        Column("feature_set_hash", "STRING", "the definitions that turned inputs into features", default="none"),
        *TRACE,
        DATE,
        ID_HASH,
    ),
    key=("prediction_id",),
    partition_by=("date",),
    landed=True,
)

SHADOW_PREDICTIONS = Table(
    "shadow_predictions",
    "What another version would have said of an ad that a prediction was given out of; nobody was shown it.",
    (
        Column("prediction_id", "STRING", "the prediction that was given out"),
        Column("impression_id", "STRING", "UUID the impression carries if this ad is shown"),
        REQUEST_ID,
        Column("model_version", "STRING", "version of the registered model that said this"),
        Column("probability", "DOUBLE", "its calibrated probability of a click", minimum=0, maximum=1),
        Column("feature_set_hash", "STRING", "its definitions"),
        Column("served_version", "STRING", "the version that was believed"),
        Column("served_source", "STRING", "what answered, as model_predictions.source"),
        Column("served_probability", "DOUBLE", "the probability that was given out", minimum=0, maximum=1),
        Column("predicted_at", "TIMESTAMP", "when the request was answered"),
        *TRACE,
        DATE,
        ID_HASH,
    ),
    key=("prediction_id", "model_version"),
    partition_by=("date",),
    landed=True,
)
