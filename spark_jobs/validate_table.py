"""Great Expectations runs each table's contract; results go to validation_results, a broken contract fails the task."""

import argparse
import os
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame

from data_contracts.render import expectations
from data_contracts.schema import Table
from data_contracts.tables import LANDED, TABLES, VALIDATION_RESULTS
from spark_jobs.session import JobError, Lake, run_job

NO_VALUES = {"result_format": "BOOLEAN_ONLY"}  # a result must not hold a personal value


def validated(rows: DataFrame, table: Table, as_of: datetime) -> list[dict[str, Any]]:
    """Rows of validation_results for `rows` against the contract of `table`. An expectation that could not run counts
    as broken, with the error as its detail."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx  # takes seconds to import, and reads the switch above as it is imported
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_spark(table.name)
    asset = source.add_dataframe_asset(table.name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows})
    suite = gx.ExpectationSuite(name=table.name)
    for configuration in expectations(table):
        suite.add_expectation_configuration(ExpectationConfiguration(**configuration))
    found = batch.validate(suite, result_format=NO_VALUES)
    return [_result(result, table, as_of) for result in found.results]


def _result(result: Any, table: Table, as_of: datetime) -> dict[str, Any]:
    configuration = result.expectation_config
    kwargs = {key: value for key, value in configuration.kwargs.items() if key not in ("batch_id", "column")}
    raised = [entry["exception_message"] for entry in _exceptions(result.exception_info) if entry["raised_exception"]]
    return {
        "table_name": table.name,
        "as_of": as_of,
        "expectation": configuration.type,
        "column_name": configuration.kwargs.get("column"),
        "success": bool(result.success) and not raised,
        "detail": f"could not run: {raised[0]}" if raised else str(kwargs),
    }


def _exceptions(exception_info: dict[str, Any]) -> list[dict[str, Any]]:
    """Great Expectations gives either one entry or one a metric."""
    return [exception_info] if "raised_exception" in exception_info else list(exception_info.values())


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Validate the named tables and record the results; JobError names every broken expectation."""
    tables = [TABLES[name] for name in arguments.tables or LANDED]
    results = [result for table in tables for result in validated(lake.read(table), table, as_of)]
    rows = lake.spark.createDataFrame(results, schema=lake.read(VALIDATION_RESULTS).schema)
    names = ", ".join(f"'{table.name}'" for table in tables)
    lake.overwrite(VALIDATION_RESULTS, rows, where=f"table_name IN ({names}) AND as_of = '{as_of.isoformat()}'")
    broken = [result for result in results if not result["success"]]
    if broken:
        words = "; ".join(f"{r['table_name']}.{r['column_name']}: {r['expectation']} {r['detail']}" for r in broken)
        raise JobError(f"{len(broken)} of {len(results)} expectations are broken: {words}")
    return f"{len(results)} expectations on {len(tables)} tables are met"


if __name__ == "__main__":
    parser = argparse.ArgumentParser("validate_table", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES], help="tables to check; all landed ones by default")
    run_job(main, parser)
