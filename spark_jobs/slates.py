"""Landed requests with a slate -> what they state of each ad: serving keeps a record a request, the table a row an
ad."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.landed_tables import FEATURES, MODEL_PREDICTIONS, SHADOW_PREDICTIONS
from data_contracts.schema import Table

SLATED = (MODEL_PREDICTIONS, SHADOW_PREDICTIONS)
"""The tables whose rows may land as slates."""
OF_ONE_AD = ("ad_id", "impression_id", "position", "prediction_id", "probability", "served_probability")
SLATE = f"ARRAY<STRUCT<{', '.join(f'{name}: STRING' for name in OF_ONE_AD)}, inputs: ARRAY<DOUBLE>>>"
SHARED = "coalesce(s.features, CAST(map() AS MAP<STRING, DOUBLE>))"
TORN = "slate: its inputs and input_names do not fit"
FIT = (
    "coalesce(size(ad.inputs) = size(s.input_names) AND size(array_distinct(s.input_names)) = size(s.input_names) "
    "AND NOT array_contains(transform(s.input_names, name -> name IS NULL), true) "
    f"AND size(array_distinct(map_keys({SHARED}))) = size({SHARED}) "
    f"AND NOT arrays_overlap(s.input_names, map_keys({SHARED})), false)"
)


def with_stated_ads(events: DataFrame, table: Table, schema: str, stated: str) -> DataFrame:
    """`events` with the struct `stated` of what each row of a slated table is told, by column: one an ad of a slate, or
    the one of a row that holds no slate. Its features are those of the row and its own; a null is left out of them."""
    parsed = events.withColumn("s", F.from_json("row", f"{schema}, input_names ARRAY<STRING>, slate {SLATE}"))
    ads = parsed.withColumn("ad", F.explode_outer("s.slate"))
    names = [column.name for column in table.event_columns]
    fields = [f"{_told(name)} AS `{name}`" for name in names if name != FEATURES.name]
    if FEATURES.name not in names:
        return ads.withColumn(stated, F.expr(f"struct({', '.join(fields)})")).drop("s", "ad")
    features = f"CASE WHEN ad IS NULL THEN s.features WHEN {FIT} THEN {_inputs()} END AS features"
    told = ads.withColumn(stated, F.expr(f"struct({', '.join([*fields, features])})"))
    torn = F.expr(f"ad IS NOT NULL AND NOT ({FIT})")
    return told.withColumn("error", F.coalesce("error", F.when(torn, F.lit(TORN)))).drop("s", "ad")


def _told(name: str) -> str:
    return f"coalesce(ad.`{name}`, s.`{name}`)" if name in OF_ONE_AD else f"s.`{name}`"


def _inputs() -> str:
    every = f"map_concat({SHARED}, map_from_arrays(s.input_names, ad.inputs))"
    return f"map_filter({every}, (name, value) -> value IS NOT NULL)"
