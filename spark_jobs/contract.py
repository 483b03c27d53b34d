"""Rows as landed (JSON text) against their table's contract: typed values, defaults, and what is wrong in words."""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.landed_tables import CLOCK_SKEW, IS_CLOCK_SKEWED
from data_contracts.schema import Column, Table

STATED = "stated"
"""Struct of the columns as the row states them: text, or a map."""


def with_contract_columns(events: DataFrame, table: Table) -> DataFrame:
    """`events` (raw_events rows meant for `table`) with the contract's typed columns and `reason`, which is null for a
    row that keeps the contract and else names each column and what is wrong with it, never a value."""
    schema = ", ".join(f"`{column.name}` {_landed_type(column)}" for column in table.event_columns)
    stated = events.withColumn(STATED, F.from_json("row", schema))
    typed = stated.select("*", *[_typed(column).alias(column.name) for column in table.event_columns])
    checks = [check for column in table.event_columns for check in _checks(column)]
    broken = F.concat_ws("; ", *checks)
    reason = F.coalesce("error", F.nullif(broken, F.lit("")))
    with_reason = typed.withColumn("reason", reason)
    if "date" in table.column_names:
        with_reason = with_reason.withColumn("date", F.to_date(F.col(table.own_time)))
    if IS_CLOCK_SKEWED in table.columns:
        ahead = F.unix_micros(F.col(table.own_time)) - F.unix_micros("received_at")
        with_reason = with_reason.withColumn(IS_CLOCK_SKEWED.name, ahead > CLOCK_SKEW * 1_000_000)
    return with_reason.drop(STATED)


def _landed_type(column: Column) -> str:
    return column.type if column.type.startswith("MAP") else "STRING"


def _typed(column: Column) -> SparkColumn:
    value = _cast(column)
    if column.default is None:
        return value
    if column.type.startswith("MAP"):
        return F.coalesce(value, F.expr(f"CAST(map() AS {column.type})"))
    return F.coalesce(value, F.lit(column.default).cast(column.type))


def _cast(column: Column) -> SparkColumn:
    return F.expr(f"try_cast({STATED}.`{column.name}` AS {column.type})")


def _checks(column: Column) -> list[SparkColumn]:
    is_stated, value = F.col(f"{STATED}.`{column.name}`").isNotNull(), _cast(column)
    checks = [F.when(is_stated & value.isNull(), F.lit(f"{column.name}: not a {column.type}"))]
    if not column.nullable and column.default is None:
        checks.append(F.when(~is_stated, F.lit(f"{column.name}: missing")))
    if column.minimum is not None:
        checks.append(F.when(value < column.minimum, F.lit(f"{column.name}: below {column.minimum:g}")))
    if column.maximum is not None:
        checks.append(F.when(value > column.maximum, F.lit(f"{column.name}: above {column.maximum:g}")))
    if column.allowed:
        accepted = ", ".join(column.allowed)
        checks.append(F.when(~value.isin(*column.allowed), F.lit(f"{column.name}: not one of {accepted}")))
    return checks
