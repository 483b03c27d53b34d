"""How two versions differ: shadows by both scores of the same ads, a canary by its own users beside the champion's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.label_clicks import clicked

LEAST_PROBABILITY = 1e-15
SHADOW_DAYS = 30
"""How far back shadows are compared: a label takes a day to be believed."""
NORMAL_95 = 1.959964
SCORES = ("score_ratio", "score_correlation", "score_distance")
FIGURES = ("normalized_entropy", "calibration_ratio")

Row = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """The labelled impressions of one version, in sums: `expected` clicks are its probabilities, `loss` its log losses
    in nats; `variance` is that of ln(expected / clicks), whole users drawn."""

    impressions: int
    clicks: int
    expected: float
    loss: float
    variance: float = math.nan

    @property
    def calibration_ratio(self) -> float | None:
        return self.expected / self.clicks if self.clicks else None

    @property
    def normalized_entropy(self) -> float | None:
        """As in ml.metrics; None where all are clicked or none is."""
        if not 0 < self.clicks < self.impressions:
            return None
        rate = self.clicks / self.impressions
        return self.loss / self.impressions / -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))


def compared(kind: str, as_of: datetime, told: Mapping[str, Any], own: Arm, other: Arm) -> Row:
    """A row of model_comparisons; `told` are its columns that no label is needed for, `since` in epoch microseconds."""
    change = low = high = None
    if own.calibration_ratio and other.calibration_ratio:
        change = own.calibration_ratio / other.calibration_ratio
        spread = NORMAL_95 * math.sqrt(own.variance + other.variance)
        if not math.isnan(spread):
            low, high = change * math.exp(-spread), change * math.exp(spread)
    figures = {name: getattr(own, name) for name in FIGURES}
    served = {f"served_{name}": getattr(other, name) for name in FIGURES}
    return {
        "as_of": as_of,
        "kind": kind,
        **told,
        "since": datetime.fromtimestamp(0, UTC) + timedelta(microseconds=told["since"]),
        "impressions": own.impressions,
        "clicks": own.clicks,
        "served_impressions": other.impressions,
        "served_clicks": other.clicks,
        **figures,
        **served,
        "calibration_change": change,
        "calibration_change_low": low,
        "calibration_change_high": high,
    }


def shadow_comparisons(shadows: DataFrame, labels: DataFrame, as_of: datetime) -> list[Row]:
    """A row a version and version that answered, of the last SHADOW_DAYS known before `as_of`; labels only where they
    are mature."""
    since = as_of - timedelta(days=SHADOW_DAYS)
    known = shadows.where((F.col("received_at") < F.lit(as_of)) & (F.col("predicted_at") >= F.lit(since)))
    mature = labels.where(F.col("matures_at") <= F.lit(as_of)).select(
        "impression_id", (F.col("state") == "clicked").cast("int").alias("clicked")
    )
    both = known.join(mature, on="impression_id", how="left")
    own, other = _log_odds("probability"), _log_odds("served_probability")
    spread = F.stddev_pop(own) * F.stddev_pop(other)
    rows = (
        both.groupBy("model_version", "served_version")
        .agg(
            F.min(F.unix_micros("predicted_at")).alias("since"),
            F.count("*").alias("predictions"),
            F.try_divide(F.sum("probability"), F.sum("served_probability")).alias("score_ratio"),
            F.try_divide(F.covar_pop(own, other), spread).alias("score_correlation"),
            F.avg(F.abs(own - other)).alias("score_distance"),
            *_sums("", "probability"),
            *_sums("served_", "served_probability"),
        )
        .orderBy("model_version", "served_version")
        .collect()
    )
    found = []
    for row in rows:
        told = {name: row[name] for name in ("model_version", "served_version", "since", "predictions", *SCORES)}
        found.append(compared("shadow", as_of, told, _arm(row, ""), _arm(row, "served_")))
    return found


def canary_comparison(
    predictions: DataFrame,
    impressions: DataFrame,
    clicks: DataFrame,
    versions: tuple[str, str],
    since: datetime,
    as_of: datetime,
    label_age: timedelta,
) -> Row | None:
    """The canary beside the champion (`versions`, in this order), each over the impressions of its own predictions
    from `since` on that were `label_age` old at `as_of`, by the clicks that were known at that age. None before the
    canary has answered."""
    canary, champion = versions
    answered = (F.col("source") == "canary") & (F.col("model_version") == canary)
    beside = (F.col("source") == "model") & (F.col("model_version") == champion)
    known = predictions.where(F.col("received_at") < F.lit(as_of)).where(F.col("predicted_at") >= F.lit(since))
    both = known.where(answered | beside).select(answered.alias("is_canary"), "impression_id", "probability")
    found = (
        known.where(answered)
        .agg(F.min(F.unix_micros("predicted_at")).alias("since"), F.count("*").alias("predictions"))
        .first()
    )
    if found is None or not found["predictions"]:
        return None
    first = F.lit((since - timedelta(days=1)).date())  # a client's clock may be behind
    old = impressions.where((F.col("date") >= first) & (F.col("timestamp") <= F.lit(as_of - label_age)))
    old = old.where(F.col("received_at") < F.lit(as_of))
    clicks = clicks.where(F.col("date") >= first)
    shown = both.join(old.select("impression_id", "user_id", "timestamp"), on="impression_id", how="inner")
    rows = _clicked(shown, clicks, label_age).groupBy("is_canary", "user_id").agg(*_sums("", "probability"))
    sums = {row["is_canary"]: row for row in rows.groupBy("is_canary").agg(*_over_users()).collect()}
    own, other = (_arm_of_users(sums.get(is_canary)) for is_canary in (True, False))
    told = {"model_version": canary, "served_version": champion, **found.asDict()}
    return compared("canary", as_of, told | dict.fromkeys(SCORES), own, other)


def _clicked(shown: DataFrame, clicks: DataFrame, label_age: timedelta) -> DataFrame:
    """`shown` with `clicked`, 0 or 1, as it was known when each impression was `label_age` old."""
    known_within = F.expr(f"timestamp + INTERVAL {int(label_age.total_seconds())} SECONDS")
    ids = clicked(shown, clicks, known_within).select("impression_id")
    marked = shown.join(ids.withColumn("clicked", F.lit(1)), on="impression_id", how="left")
    return marked.fillna(0, subset=["clicked"])


def _sums(prefix: str, probability: str) -> list[Column]:
    """An arm's sums over rows with a label."""
    told = F.greatest(F.lit(LEAST_PROBABILITY), F.least(F.lit(1 - LEAST_PROBABILITY), F.col(probability)))
    loss = -F.when(F.col("clicked") == 1, F.log(told)).otherwise(F.log1p(-told))
    labelled = F.col("clicked").isNotNull()
    return [
        F.count("clicked").alias(f"{prefix}impressions"),
        F.coalesce(F.sum("clicked"), F.lit(0)).alias(f"{prefix}clicks"),
        F.coalesce(F.sum(F.when(labelled, F.col(probability))), F.lit(0.0)).alias(f"{prefix}expected"),
        F.coalesce(F.sum(F.when(labelled, loss)), F.lit(0.0)).alias(f"{prefix}loss"),
    ]


def _over_users() -> list[Column]:
    products = {"cc": "clicks * clicks", "ce": "clicks * expected", "ee": "expected * expected"}
    whole = [F.sum(name).alias(name) for name in ("impressions", "clicks", "expected", "loss")]
    return whole + [F.expr(f"sum({product}) AS {name}") for name, product in products.items()]


def _arm(row: Any, prefix: str) -> Arm:
    return Arm(*(row[f"{prefix}{name}"] for name in ("impressions", "clicks", "expected", "loss")))


def _arm_of_users(row: Any) -> Arm:
    """With the variance of ln(expected / clicks) by the delta method, users being independent: the sum over users of
    (their share of the clicks - their share of the expected) squared."""
    if row is None:
        return Arm(0, 0, 0.0, 0.0)
    clicks, expected = row["clicks"], row["expected"]
    if not clicks or not expected:
        return _arm(row, "")
    variance = row["cc"] / clicks**2 - 2 * row["ce"] / (clicks * expected) + row["ee"] / expected**2
    return Arm(row["impressions"], clicks, expected, row["loss"], max(variance, 0.0))


def _log_odds(probability: str) -> Column:
    told = F.greatest(F.lit(LEAST_PROBABILITY), F.least(F.lit(1 - LEAST_PROBABILITY), F.col(probability)))
    return F.log(told) - F.log1p(-told)
