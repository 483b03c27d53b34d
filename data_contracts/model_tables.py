"""The tables that tell of the registered model's versions."""

from data_contracts.schema import Column, Table

MODEL_METADATA = Table(
    "model_metadata",
    "The registered model's versions as MLflow has them: what each was trained from, its verdict, its aliases.",
    (
        Column("model_id", "STRING", "name of the registered model"),
        Column("version", "STRING", "as in model_predictions.model_version"),
        Column("run_id", "STRING", "MLflow run that made it"),
        Column("trained_at", "TIMESTAMP", "when it was registered"),
        Column("as_of", "TIMESTAMP", "exclusive end of what its training knew", nullable=True),
        Column("trained_through", "TIMESTAMP", "exclusive end of the impressions it has seen", nullable=True),
        Column("training_set_id", "STRING", "its training set", nullable=True),
        Column("training_set_checksum", "STRING", "checksum of the rows it was trained from", nullable=True),
        Column("feature_set_hash", "STRING", "its feature definitions", nullable=True),
        Column("data_versions", "MAP<STRING,STRING>", "Delta version of each table that its training set rests on"),
        Column("metrics", "MAP<STRING,DOUBLE>", "metrics of its run"),
        Column("verdict", "STRING", "what the gate said of it", nullable=True),
        Column("verdict_summary", "STRING", "with the reasons, at most 5,000 characters", nullable=True),
        Column("aliases", "STRING", "the aliases it has now, joined by a comma; '' without any"),
        Column("alias_moves", "MAP<STRING,STRING>", "which alias it was given and why, by when (UTC)"),
    ),
    key=("model_id", "version"),
    derived=True,
)


def _both(name: str, about: str) -> tuple[Column, Column]:
    """A figure of the version and of the one that it is compared with, over the impressions with a label."""
    other = Column(f"served_{name}", "DOUBLE", "the same of served_version", nullable=True)
    return Column(name, "DOUBLE", about, nullable=True), other


MODEL_COMPARISONS = Table(
    "model_comparisons",
    "How two versions differ, as known at as_of. shadow: both of the same ads, over the mature labels of those shown. "
    "canary: each of its own users' ads, over labels of the same age, which are young.",
    (
        Column("as_of", "TIMESTAMP", "exclusive end of what was known"),
        Column("kind", "STRING", "how they were compared", allowed=("shadow", "canary")),
        Column("model_version", "STRING", "the version"),
        Column("served_version", "STRING", "the version that it is compared with: that answered, or the champion"),
        Column("since", "TIMESTAMP", "the first prediction that is compared"),
        Column("predictions", "BIGINT", "its predictions", minimum=0),
        Column("score_ratio", "DOUBLE", "shadow: sum of its probabilities / sum of the other's", nullable=True),
        Column("score_correlation", "DOUBLE", "shadow: of the log-odds of both", nullable=True),
        Column("score_distance", "DOUBLE", "shadow: mean distance of the log-odds of both", nullable=True),
        Column("impressions", "BIGINT", "of its predictions, shown and with a label", minimum=0),
        Column("clicks", "BIGINT", "of them, clicked", minimum=0),
        Column("served_impressions", "BIGINT", "the same of served_version", minimum=0),
        Column("served_clicks", "BIGINT", "the same of served_version", minimum=0),
        *_both("normalized_entropy", "log loss / that of the best constant"),
        *_both("calibration_ratio", "expected clicks / observed clicks; of young labels more than 1"),
        Column("calibration_change", "DOUBLE", "its calibration_ratio / the other's", nullable=True),
        Column("calibration_change_low", "DOUBLE", "95 % interval of that, whole users drawn: from", nullable=True),
        Column("calibration_change_high", "DOUBLE", "to", nullable=True),
    ),
    key=("as_of", "kind", "model_version", "served_version"),
)
