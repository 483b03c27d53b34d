"""Impressions with the values that they are counted by: data_contracts.keys in Spark."""

from collections.abc import Collection, Iterable, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from data_contracts.counts import Count
from data_contracts.keys import CONTEXT, DENIED, NUMBER, TOLD_ELSEWHERE, USER, default_value, key_name
from data_contracts.schema import ADDED_ON_THE_WAY
from data_contracts.snapshot import PUBLISH_DELAY, SNAPSHOT_CADENCE

IDS = {"ad": "ad_id", "user": "user_id"}


def snapshot_at() -> Column:
    """data_contracts.snapshot.snapshot_time of impressions, in epoch seconds. One whose client's clock was ahead was
    shown when it was received at the latest: by its own timestamp it could be among what it was scored with."""
    shown_at = F.least(F.unix_micros("timestamp"), F.unix_micros("received_at"))
    delayed = (shown_at / F.lit(1e6) - PUBLISH_DELAY) / SNAPSHOT_CADENCE
    return (F.floor(delayed) * SNAPSHOT_CADENCE).cast("bigint")


def keyed(
    impressions: DataFrame, ads: DataFrame, users: DataFrame, keys: Collection[str], default_position: int
) -> DataFrame:
    """`impressions` with `snapshot_at` and `keys`, a struct of the value of each key, as key_value has it; what does
    not say its slot is taken for `default_position`, as serving takes a request that does not say it."""
    placed = impressions.fillna(default_position, subset=["position"]).withColumn("snapshot_at", snapshot_at())
    asked = {*keys} | ({"consent"} if any(key == USER or key.startswith("user.") for key in keys) else set())
    told = {TOLD_ELSEWHERE.get(key, key) for key in asked}
    known = placed
    for name, rows in (("ad", ads), ("user", users)):
        if any(key.startswith(f"{name}.") for key in told):
            known = _with_catalog(known, rows, name)
    values = F.struct(*[_value(key).alias(key) for key in sorted(keys)]) if keys else F.lit(None)
    return known.withColumn("keys", values).drop("ad", "user")


def counted_by(
    impressions: DataFrame,
    catalogues: Sequence[DataFrame],
    default_position: int,
    counts: Sequence[Count],
    numbers: Sequence[str],
    *columns: str | Column,
) -> DataFrame:
    """`impressions` as with_counts takes them, with these columns and every number; `catalogues` are ads and users."""
    keys = {*numbers, *(key for count in counts for key in count.keys)}
    known = keyed(impressions, *catalogues, keys, default_position)
    return known.select(*columns, "snapshot_at", "keys", *[number(key).alias(key_name(key)) for key in numbers])


def _with_catalog(impressions: DataFrame, rows: DataFrame, name: str) -> DataFrame:
    """`impressions` with the newest row of a catalogue known before snapshot_at, as a struct; null without any."""
    own_id = IDS[name]
    by_id = Window.partitionBy(own_id).orderBy("received_at")
    states = [column for column in rows.columns if column != own_id and column not in ADDED_ON_THE_WAY]
    spans = rows.select(
        F.col(own_id).alias("told_id"),
        F.struct(*states).alias(name),
        F.unix_micros("received_at").alias("since"),
        F.unix_micros(F.lead("received_at").over(by_id)).alias("until"),
    )
    seen_at = F.col("snapshot_at") * 1_000_000
    is_newest = (F.col("since") < seen_at) & (F.col("until").isNull() | (F.col("until") >= seen_at))
    joined = impressions.join(spans, on=(F.col(own_id) == F.col("told_id")) & is_newest, how="left")
    return joined.drop("told_id", "since", "until")


def _value(key: str) -> Column:
    value = F.coalesce(_stated(key), F.lit(default_value(key)))
    if key in TOLD_ELSEWHERE:
        elsewhere = _stated(TOLD_ELSEWHERE[key])
        value = F.when(value == default_value(key), F.coalesce(elsewhere, value)).otherwise(value)
    if key == USER:
        return F.when(_value("consent") != DENIED, value)
    if key.startswith("user.") and key != "user.consent":
        return F.when(_value("consent") != DENIED, value).otherwise(default_value(key))
    return value


def _stated(key: str) -> Column:
    where, is_context, name = key.partition(CONTEXT)
    return F.col(f"{where}features")[name] if is_context else F.col(key).cast("string")


def entity(keys: Iterable[str]) -> Column:
    """data_contracts.keys.entity_name over the struct `keys`; null when one of them is."""
    escaped = [
        F.replace(F.replace(F.col("keys")[key], F.lit("\\"), F.lit("\\\\")), F.lit("|"), F.lit("\\|")) for key in keys
    ]
    parts = [part for value in escaped for part in (F.lit("|"), value)][1:]
    return F.concat(*parts) if parts else F.lit("")


def number(key: str) -> Column:
    """data_contracts.keys.number of the value of `key`; null in place of NaN."""
    text = F.col("keys")[key]
    truth = F.when(text.isin("true", "false"), (text == "true").cast("double"))
    value = truth.when(text.rlike(rf"\A{NUMBER}\z"), text.cast("double"))
    return F.when(F.abs(value) < float("inf"), value)
