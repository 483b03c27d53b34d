"""Real questions through both engines: the same names, the same answers, byte for byte; and nothing but reading."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from cli.errors import CommandError
from cli.result_formats import write_csv, write_json, write_parquet
from cli.spark_sql import answered
from cli.sql import duckdb_engine
from data_contracts.lake import open_lake
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, CLICKS, MODEL_PREDICTIONS, TABLES, VALIDATION_RESULTS
from spark_jobs.session import connect
from tests.cli.sql_questions import QUESTIONS

pytestmark = pytest.mark.spark

NOON = datetime(2019, 11, 30, 12, 0, 0, 250, tzinfo=UTC)
YESTERDAY = datetime(2026, 1, 9, 12, tzinfo=UTC)
TODAY = YESTERDAY + timedelta(days=1)


def write(settings: Settings, table: Any, rows: list[dict[str, Any]], lacking: str = "") -> None:
    schema = open_lake(settings).sql(f"FROM {table.name}").to_arrow_table().schema
    schema = pa.schema([field for field in schema if field.name != lacking])
    partitions = list(table.partition_by) or None
    path = str(settings.lake / table.name)
    write_deltalake(path, pa.Table.from_pylist(rows, schema), mode="append", partition_by=partitions)


def commit_at(settings: Settings, version: int, instant: datetime) -> None:
    """Lets the newest commits of all tables tell that they were made at `instant`."""
    for log in settings.lake.glob(f"*/_delta_log/{version:020}.json"):
        actions = [json.loads(line) for line in log.read_text().splitlines()]
        for action in actions:
            if "commitInfo" in action:
                action["commitInfo"]["timestamp"] = int(instant.timestamp() * 1000)
        log.write_text("\n".join(map(json.dumps, actions)))


def impression(number: int) -> dict[str, Any]:
    at = NOON + timedelta(hours=7 * number)
    return {
        "impression_id": f"i-{number}", "user_id": "u", "ad_id": f"ad-{number % 2}", "timestamp": at, "date": at.date(),
        "device_type": ["phone", "desktop"][number % 2], "position": None if number == 2 else number,
        "features": [("price", f'{number}, "so"'), ("none", None)] if number else [],
        "request_id": None if number % 3 else f"r-{number}", "propensity": number / 3,
    }  # fmt: skip


@pytest.fixture(scope="module")
def lake(spark_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Four impressions yesterday and two more today; clicks and predictions of them; results of an older contract."""
    settings = replace(spark_settings, home=tmp_path_factory.mktemp("lake"))
    write(settings, AD_IMPRESSIONS, [impression(number) for number in range(4)])
    clicks = [(0, True), (1, False), (3, True), (3, True)]
    write(settings, CLICKS, [
        {"click_id": f"c-{place}", "impression_id": f"i-{number}", "clicked": clicked, "date": date(2019, 11, 30),
         "timestamp": NOON + timedelta(hours=7 * number, seconds=90)}
        for place, (number, clicked) in enumerate(clicks)
    ])  # fmt: skip
    write(settings, MODEL_PREDICTIONS, [
        {"prediction_id": f"p-{number}", "impression_id": f"i-{number}", "model_version": str(number % 2),
         "position": 2, "probability": 0.1 * number, "predicted_at": NOON, "features": [("ad_ctr_7d", 0.1)],
         "date": NOON.date()}
        for number in range(4)
    ])  # fmt: skip
    write(settings, VALIDATION_RESULTS, [{"table_name": "clicks", "detail": "{}"}], lacking="rows_checked")
    commit_at(settings, 0, YESTERDAY)
    write(settings, AD_IMPRESSIONS, [impression(4), impression(5)])
    commit_at(settings, 1, TODAY)
    return settings


@pytest.fixture(scope="module")
def spark(spark_settings: Settings) -> Iterator[SparkSession]:
    session = connect(spark_settings)
    yield session
    session.stop()


def both(spark: SparkSession, lake: Settings, statement: str, at: datetime | None = None) -> list[tuple[bytes, ...]]:
    """The bytes of CSV, JSON Lines and Parquet, by DuckDB and by Spark."""
    answers = []
    for engine in (duckdb_engine(lake, at), lambda *asked: answered(spark, lake, at, *asked)):
        written = []
        for writer in (write_csv, write_json, write_parquet):
            sink = io.BytesIO()
            with engine(statement, None) as result:
                writer(result, sink)
            written.append(sink.getvalue())
        answers.append(tuple(written))
    return answers


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_both_engines_give_the_same_bytes(spark, lake, question):
    by_duckdb, by_spark = both(spark, lake, question)
    assert by_duckdb == by_spark


def test_an_answer_is_what_the_rows_say(spark, lake):
    assert both(spark, lake, QUESTIONS["CTR by ad and day"])[1][0].decode() == (
        "ad_id,day,impressions,clicks,ctr\n"
        "ad-0,2019-11-30,1,1,1.0\n"
        "ad-0,2019-12-01,2,0,0.0\n"
        "ad-1,2019-11-30,1,0,0.0\n"
        "ad-1,2019-12-01,2,1,0.5\n"
    )


@pytest.mark.parametrize(("at", "impressions"), [(YESTERDAY, 4), (TODAY - timedelta(milliseconds=1), 4), (TODAY, 6)])
def test_yesterdays_version_is_read_by_both(spark, lake, at, impressions):
    by_duckdb, by_spark = both(spark, lake, "SELECT count(*) AS n FROM ad_impressions", at)
    assert by_duckdb == by_spark
    assert by_spark[0].decode() == f"n\n{impressions}\n"


def test_an_instant_before_the_lake_is_one_line(spark, lake):
    with (
        pytest.raises(CommandError, match=r"there was no table yet: the first commit is of 2026-01-09T12:00:00.000Z"),
        answered(spark, lake, YESTERDAY - timedelta(hours=1), "SELECT 1 AS one", None),
    ):
        pass


def test_both_know_the_same_tables(spark, lake):
    with answered(spark, lake, None, "SHOW TABLES", None) as result:
        views = {row["tableName"] for row in result.read_all().to_pylist()}
    assert views == {*TABLES, "columns"}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO delta.`{clicks}` SELECT * FROM clicks",
        "WITH c AS (FROM clicks) INSERT INTO delta.`{clicks}` SELECT * FROM c",
        "FROM clicks INSERT INTO delta.`{clicks}` SELECT *",
        "/* SELECT */ DELETE FROM delta.`{clicks}`",
        "-- SELECT\nUPDATE delta.`{clicks}` SET clicked = false",
        "MERGE INTO delta.`{clicks}` t USING clicks s ON t.click_id = s.click_id WHEN MATCHED THEN DELETE",
        "DROP TABLE delta.`{clicks}`",
        "TRUNCATE TABLE delta.`{clicks}`",
        "CREATE TABLE written AS SELECT 1 AS one",
        "OPTIMIZE delta.`{clicks}`",
        "SELECT 1 AS one) UNION ALL (SELECT 1; DELETE FROM delta.`{clicks}`",
        "SET spark.sql.ansi.enabled = false",
        "",
    ],
)
def test_a_statement_that_would_write_is_refused(spark, lake, statement):
    before = sorted((lake.lake / "clicks").rglob("*"))
    with (
        pytest.raises(CommandError, match=r"only reads|PARSE_SYNTAX_ERROR|no statement") as raised,
        answered(spark, lake, None, statement.format(clicks=lake.lake / "clicks"), None),
    ):
        pass
    assert "\n" not in str(raised.value)
    assert sorted((lake.lake / "clicks").rglob("*")) == before


def test_explaining_a_write_writes_nothing(spark, lake):
    before = sorted((lake.lake / "clicks").rglob("*"))
    statement = f"EXPLAIN INSERT INTO delta.`{lake.lake / 'clicks'}` SELECT * FROM clicks"
    with answered(spark, lake, None, statement, None) as result:
        assert result.read_all().num_rows == 1
    assert sorted((lake.lake / "clicks").rglob("*")) == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT clickd FROM clicks", "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter "),
        ("SELECT 1 AS one\ntwo", "[PARSE_SYNTAX_ERROR] Syntax error at or near 'two'"),
        ("SELECT CAST('a' AS INT) AS number", "[CAST_INVALID_INPUT] The value 'a' of the type"),
    ],
)
def test_an_error_is_one_line(spark, lake, statement, said):
    with pytest.raises(CommandError) as raised, answered(spark, lake, None, statement, None):
        pass
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("statement", ["DESCRIBE HISTORY ad_impressions", "desc history AD_IMPRESSIONS;"])
def test_the_history_of_a_table_is_told(spark, lake, statement):
    with answered(spark, lake, None, statement, 5) as result:
        assert [row["version"] for row in result.read_all().to_pylist()] == [1, 0]


def test_the_files_of_a_table_are_told(spark, lake):
    with answered(spark, lake, None, "DESCRIBE DETAIL clicks", None) as result:
        (row,) = result.read_all().to_pylist()
    assert (row["format"], row["partitionColumns"]) == ("delta", ["date"])


@pytest.mark.parametrize(
    "statement", ["SELECT 1 AS one;", "SELECT 1 AS one; -- done\n", "(SELECT 1 AS one)", "VALUES (1)"]
)
def test_what_reads_is_answered(spark, lake, statement):
    with answered(spark, lake, None, statement, 5) as result:
        assert result.read_all().num_rows == 1


def test_the_command_answers_and_says_where_no_server_is(lake, tmp_path):
    overlay = tmp_path / "conf.toml"
    command = [sys.executable, "-c", "from cli.main import main; main()", "spark-sql", "--format", "csv", "-c"]
    for port, rc in ((lake.services.spark_port, 0), (1, 2)):
        overlay.write_text(f"[services]\nspark_port = {port}\n")
        environ = os.environ | {"CLICKLAKE_HOME": str(lake.home), "CLICKLAKE_CONF": str(overlay)}
        ended = subprocess.run(
            [*command, "SELECT count(*) AS n FROM clicks"], env=environ, capture_output=True, text=True, check=False
        )
        assert ended.returncode == rc
        assert ended.stdout == ("n\n4\n" if rc == 0 else "")
        assert ended.stderr.startswith("clicklake: no Spark Connect server at sc://127.0.0.1:1 (" if rc else "")
        assert ended.stderr.count("\n") == (1 if rc else 0)
