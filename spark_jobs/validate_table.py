"""Great Expectations runs each table's contract on what changed; a broken contract fails the task.

Results go to validation_results and to a page for people.

Checked are the partitions that were touched since the version at which the same contract was last met, whole tables
where that is not known. The key's uniqueness is that within these partitions.
"""

import argparse
import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.render import expectations, quoted, spark_scan
from data_contracts.schema import Table
from data_contracts.tables import LANDED, TABLES, VALIDATION_RESULTS
from spark_jobs.delta_log import Partition, newest_version, touched_partitions, versions
from spark_jobs.session import JobError, Lake, run_job
from spark_jobs.validation_page import COULD_NOT_RUN, write_page

NO_VALUES = {"result_format": "BOOLEAN_ONLY"}  # a result must not hold a personal value
SPARK_CONDITION = re.compile(r"\[([A-Z][A-Z_.]{3,})\]")
QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")
AT_ONCE = 4


@dataclass(frozen=True)
class Batch:
    """The rows of a table's `version` that are to be checked, and how many they are."""

    table: Table
    version: int
    rows: DataFrame
    count: int


def batch(lake: Lake, table: Table, met_at: int | None) -> Batch | None:
    """What was touched since version `met_at`; None when that is nothing."""
    path = lake.settings.lake / table.name
    if not versions(path):
        return None
    version = newest_version(path)
    touched = None if met_at is None or met_at > version else touched_partitions(path, met_at, version)
    if touched == []:
        return None
    rows = lake.spark.sql(f"SELECT * FROM {spark_scan(path, version)}")
    if touched and table.partition_by:
        rows = rows.where(" OR ".join(map(_is_of, touched)))
    return Batch(table, version, rows, rows.count())


def _is_of(partition: Partition) -> str:
    conditions = (f"`{column}` <=> {'NULL' if value is None else quoted(value)}" for column, value in partition.items())
    return f"({' AND '.join(conditions)})"


def validated(batches: Iterable[Batch], as_of: datetime) -> list[dict[str, Any]]:
    """Rows of validation_results for each batch against its contract. An expectation that could not run counts as
    broken, with the error as its detail."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx  # takes seconds to import, and reads the switch above as it is imported

    checked_at = datetime.now(UTC)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_spark("lake")

    def results(checked: Batch) -> list[dict[str, Any]]:
        suite = gx.ExpectationSuite(name=checked.table.name, expectations=expectations(checked.table))
        asset = source.add_dataframe_asset(checked.table.name)
        rows = asset.add_batch_definition_whole_dataframe("touched").get_batch({"dataframe": checked.rows})
        found = rows.validate(suite, result_format=NO_VALUES)
        return [{**_result(result, checked), "as_of": as_of, "checked_at": checked_at} for result in found.results]

    with ThreadPoolExecutor(AT_ONCE) as workers:
        return [result for found in workers.map(results, batches) for result in found]


def _result(result: Any, checked: Batch) -> dict[str, Any]:
    kind, column = result.expectation_config.type, result.expectation_config.kwargs.get("column")
    raised = [entry["exception_message"] for entry in _exceptions(result.exception_info) if entry["raised_exception"]]
    # Great Expectations rewrites what it is given (1 to 1.0), so the contract's own words are kept.
    stated = next(each for each in expectations(checked.table) if (each["type"], _column(each)) == (kind, column))
    return {
        "table_name": checked.table.name,
        "expectation": kind,
        "column_name": column,
        "success": bool(result.success) and not raised,
        "detail": f"{COULD_NOT_RUN}{without_values(raised[0])}" if raised else _detail(stated),
        "table_version": checked.version,
        "rows_checked": checked.count,
    }


def without_values(message: str) -> str:
    """The first line of an error without what it quotes, which may be a personal value; of Spark, its condition."""
    condition = SPARK_CONDITION.search(message)
    return condition[1] if condition else QUOTED.sub("...", message.strip().partition("\n")[0])


def _detail(expectation: dict[str, Any]) -> str:
    return str({key: value for key, value in expectation["kwargs"].items() if key != "column"})


def _column(expectation: dict[str, Any]) -> str | None:
    return expectation["kwargs"].get("column")


def _exceptions(exception_info: dict[str, Any]) -> list[dict[str, Any]]:
    """Great Expectations gives either one entry or one a metric."""
    return [exception_info] if "raised_exception" in exception_info else list(exception_info.values())


def met_versions(results: DataFrame) -> dict[str, int]:
    """The newest version of each table at which it met the contract of today; a table whose contract has changed since
    is not in it."""
    what = F.concat_ws("|", "expectation", "column_name", "detail")
    runs = results.groupBy("table_name", "as_of").agg(
        F.min("success").alias("is_met"),
        F.max("table_version").alias("version"),
        F.sort_array(F.collect_set(what)).alias("contract"),
    )
    found = runs.where("is_met AND version IS NOT NULL").groupBy("table_name", "contract").agg(F.max("version"))
    today = {name: _contract(table) for name, table in TABLES.items()}
    return {name: version for name, contract, version in found.collect() if contract == today.get(name)}


def _contract(table: Table) -> list[str]:
    return sorted("|".join(filter(None, (each["type"], _column(each), _detail(each)))) for each in expectations(table))


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Validate what changed in the named tables and record the results; JobError names every broken expectation."""
    tables = [TABLES[name] for name in arguments.tables or LANDED]
    met = met_versions(lake.read(VALIDATION_RESULTS))
    with ThreadPoolExecutor(AT_ONCE) as workers:
        found = workers.map(lambda table: batch(lake, table, met.get(table.name)), tables)
        batches = [each for each in found if each]
    results = validated(batches, as_of) if batches else []
    if results:
        rows = lake.spark.createDataFrame(results, schema=lake.read(VALIDATION_RESULTS).schema)
        names = ", ".join(quoted(each.table.name) for each in batches)
        lake.overwrite(VALIDATION_RESULTS, rows, where=f"table_name IN ({names}) AND as_of = '{as_of.isoformat()}'")
    page = lake.settings.validation_page
    write_page(lake.read(VALIDATION_RESULTS), page)
    return said(tables, batches, results) + f"; see {page}"


def said(tables: list[Table], batches: list[Batch], results: list[dict[str, Any]]) -> str:
    """The job's line; JobError when an expectation is broken."""
    if broken := [result for result in results if not result["success"]]:
        words = "; ".join(f"{r['table_name']}.{r['column_name']}: {r['expectation']} {r['detail']}" for r in broken)
        raise JobError(f"{len(broken)} of {len(results)} expectations are broken: {words}")
    untouched = len(tables) - len(batches)
    unchanged = f"{untouched} unchanged tables need no check" if untouched else ""
    rows = sum(each.count for each in batches)
    checked = f"{len(results)} expectations on {rows} touched rows of {len(batches)} tables are met" if batches else ""
    return ", ".join(filter(None, (checked, unchanged)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser("validate_table", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES], help="tables to check; all landed ones by default")
    run_job(main, parser)
