"""Rows as landed (JSON text) against their table's contract: typed values, defaults, and what is wrong in words."""

from functools import reduce
from operator import and_

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.landed_tables import CLOCK_SKEW, IS_CLOCK_SKEWED
from data_contracts.render import limits
from data_contracts.schema import Column, Table
from spark_jobs.slates import SLATED, with_stated_ads

STATED = "stated"
"""Struct of the columns as the row states them: text, or a map."""


def with_contract_columns(events: DataFrame, table: Table) -> DataFrame:
    """`events` (raw_events rows meant for `table`) with the contract's typed columns and `reason`, which is null for a
    row that keeps the contract and else names each column and what is wrong with it, never a value. Of a row that
    holds a slate there is one an ad (spark_jobs.slates)."""
    own = table.event_columns
    schema = ", ".join(f"`{column.name}` {_landed_type(column)}" for column in own)
    if table in SLATED:
        stated = with_stated_ads(events, table, schema, STATED)
    else:
        stated = events.withColumn(STATED, F.from_json("row", schema))
    typed = stated.withColumns({column.name: F.expr(f"try_cast({_stated(column)} AS {column.type})") for column in own})
    # What is wrong is put into words only where something is: that costs more than all the rest.
    is_kept = reduce(and_, [F.expr(rule) for column in own for rule, _ in _rules(column)])
    broken = [
        F.when(~F.expr(rule), F.lit(f"{column.name}: {words}")) for column in own for rule, words in _rules(column)
    ]
    with_reason = typed.withColumn("reason", F.coalesce("error", F.when(~is_kept, F.concat_ws("; ", *broken))))
    defaults = {column.name: F.coalesce(column.name, _default(column)) for column in own if column.default is not None}
    return with_reason.withColumns({**defaults, **_added(table)}).drop(STATED)


def id_hash(table: Table) -> SparkColumn:
    """The number by which a repeated id is found."""
    return F.xxhash64(*table.key)


def _added(table: Table) -> dict[str, SparkColumn]:
    """The columns that no event states."""
    added = {"id_hash": id_hash(table)}
    if "date" in table.column_names:
        added["date"] = F.to_date(table.own_time)
    if IS_CLOCK_SKEWED in table.columns:
        ahead = F.unix_micros(table.own_time) - F.unix_micros("received_at")
        added[IS_CLOCK_SKEWED.name] = ahead > CLOCK_SKEW * 1_000_000
    return added


def _landed_type(column: Column) -> str:
    return column.type if column.type.startswith("MAP") else "STRING"


def _stated(column: Column) -> str:
    return f"{STATED}.`{column.name}`"


def _default(column: Column) -> SparkColumn:
    if column.type.startswith("MAP"):
        return F.expr(f"CAST(map() AS {column.type})")
    return F.lit(column.default).cast(column.type)


def _rules(column: Column) -> list[tuple[str, str]]:
    """SQL conditions that are true for a value that keeps the contract, never null, and what else is wrong in words.
    The column itself is the typed value, before its default."""
    stated, value = _stated(column), f"`{column.name}`"
    rules = [(f"({stated} IS NULL OR {value} IS NOT NULL)", f"not a {column.type}")]
    if column.is_required:
        rules.append((f"{stated} IS NOT NULL", "missing"))
    return rules + [(f"({value} IS NULL OR {limit})", words) for limit, words in limits(column, value)]
