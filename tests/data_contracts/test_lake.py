"""The lake opened by DuckDB: empty, with real Delta tables, and with the contract's words."""

import doctest
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_contracts.lake import open_lake
from data_contracts.schema import Table
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, CLICKS, TABLES

ARROW_TYPES = {
    "STRING": pa.string(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "DATE": pa.date32(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "MAP<STRING,STRING>": pa.map_(pa.string(), pa.string()),
    "MAP<STRING,DOUBLE>": pa.map_(pa.string(), pa.float64()),
    "ARRAY<FLOAT>": pa.list_(pa.float32()),
}
CLICKED_AT = datetime(2019, 11, 30, 23, 59, 59, 123456, tzinfo=UTC)
A_CLICK = {
    "click_id": "c1",
    "impression_id": "i1",
    "clicked": True,
    "timestamp": CLICKED_AT,
    "user_id": None,
    "received_at": CLICKED_AT,
    "content_hash": "h",
    "origin": "o:1",
    "date": date(2019, 11, 30),
    "is_clock_skewed": None,
    "id_hash": 7,
}


def write(settings: Settings, table: Table, rows: list[dict]) -> None:
    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in table.columns])
    partitions = list(table.partition_by) or None
    write_deltalake(str(settings.lake / table.name), pa.Table.from_pylist(rows, schema), partition_by=partitions)


def test_an_empty_lake_has_a_view_a_table_and_no_rows(settings):
    lake = open_lake(settings)
    views = lake.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1").fetchall()
    assert [name for (name,) in views] == sorted(TABLES)
    assert [lake.execute(f"SELECT count(*) FROM {name}").fetchall() for name in TABLES] == [[(0,)]] * len(TABLES)
    assert not settings.home.exists()


def test_a_delta_table_is_read_with_its_times_in_utc(settings):
    write(settings, CLICKS, [A_CLICK])
    lake = open_lake(settings)
    assert lake.execute("SELECT * FROM clicks").fetchall() == [tuple(A_CLICK.values())]
    assert lake.execute("SELECT CAST(timestamp AS VARCHAR) FROM clicks").fetchall() == [
        ("2019-11-30 23:59:59.123456+00",)
    ]
    assert lake.execute("SELECT count(*) FROM ad_impressions").fetchall() == [(0,)]


def test_an_open_lake_shows_what_is_committed_later(settings):
    write(settings, CLICKS, [A_CLICK])
    lake = open_lake(settings)
    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in CLICKS.columns])
    more = pa.Table.from_pylist([A_CLICK | {"click_id": "c2"}], schema)
    write_deltalake(str(settings.lake / "clicks"), more, mode="append")
    assert lake.execute("SELECT click_id FROM clicks ORDER BY 1").fetchall() == [("c1",), ("c2",)]


def test_a_view_has_the_same_types_before_and_after_its_table_is_written(settings):
    empty = _types(open_lake(settings))
    for table in TABLES.values():
        write(settings, table, [])
    assert _types(open_lake(settings)) == empty


def _types(lake: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    return lake.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY 1, 2"
    ).fetchall()


def test_the_view_columns_holds_the_contracts_words(settings):
    lake = open_lake(settings)
    assert lake.execute("SELECT * FROM columns WHERE table_name = 'labels' AND column_name = 'state'").fetchall() == [
        (
            "labels",
            "state",
            "STRING",
            "pending is not yet not_clicked (one of `pending`, `clicked`, `not_clicked`)",
        )
    ]
    counted = dict(lake.execute("SELECT table_name, count(*) FROM columns GROUP BY 1").fetchall())
    assert counted == {table.name: len(table.columns) for table in TABLES.values()}


def test_opening_the_lake_downloads_nothing(settings):
    lake = open_lake(settings)
    switches = "SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%known_extensions' ORDER BY 1"
    assert lake.execute(switches).fetchall() == [
        ("autoinstall_known_extensions", "false"),
        ("autoload_known_extensions", "false"),
    ]


def test_the_example_of_the_docstring_gives_what_it_says(settings, monkeypatch):
    monkeypatch.setenv("CLICKLAKE_HOME", str(settings.home))
    (example,) = doctest.DocTestFinder().find(open_lake, globs={"open_lake": open_lake})
    ran = doctest.DocTestRunner().run(example)
    assert (ran.attempted, ran.failed) == (2, 0)


def test_nulls_are_sorted_as_spark_sorts_them(settings):
    lake = open_lake(settings)
    values = "FROM (VALUES (1), (NULL)) AS v(n) ORDER BY n"
    assert lake.execute(f"SELECT n {values}").fetchall() == [(None,), (1,)]
    assert lake.execute(f"SELECT n {values} DESC").fetchall() == [(1,), (None,)]


def _told_at(table: Path, version: int) -> datetime:
    lines = (table / "_delta_log" / f"{version:020}.json").read_text().splitlines()
    (told,) = (json.loads(line)["commitInfo"]["timestamp"] for line in lines if "commitInfo" in line)
    return datetime.fromtimestamp(told / 1000, UTC)


def test_every_table_is_shown_as_it_was_at_an_instant(settings):
    write(settings, CLICKS, [A_CLICK])
    first = _told_at(settings.lake / "clicks", 0)
    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in CLICKS.columns])
    while datetime.now(UTC) <= first + timedelta(milliseconds=2):
        pass
    write_deltalake(str(settings.lake / "clicks"), pa.Table.from_pylist([A_CLICK] * 2, schema), mode="append")
    write(settings, AD_IMPRESSIONS, [])
    for instant, clicks in ((first, 1), (datetime.now(UTC), 3)):
        lake = open_lake(settings, at=instant)
        assert lake.execute("SELECT count(*) FROM clicks").fetchall() == [(clicks,)]
        assert lake.execute("SELECT count(*) FROM ad_impressions").fetchall() == [(0,)]


def test_a_nullable_column_that_is_newer_than_the_table_is_null(settings):
    older = replace(CLICKS, columns=tuple(column for column in CLICKS.columns if column.name != "is_clock_skewed"))
    write(settings, older, [A_CLICK])
    lake = open_lake(settings)
    assert lake.execute("SELECT click_id, is_clock_skewed FROM clicks").fetchall() == [("c1", None)]
    assert lake.execute("SELECT typeof(is_clock_skewed) FROM clicks").fetchall() == [("BOOLEAN",)]


def test_a_path_with_a_quote_is_read(tmp_path):
    from data_contracts.settings import load

    settings = load({"CLICKLAKE_HOME": str(tmp_path / "it's here")})
    write(settings, CLICKS, [A_CLICK])
    assert open_lake(settings).execute("SELECT click_id FROM clicks").fetchall() == [("c1",)]


def test_a_delta_table_that_lacks_a_column_of_the_contract_is_an_error_that_names_it(settings):
    path = str(settings.lake / "clicks")
    write_deltalake(path, pa.table({"click_id": ["c1"]}))
    with pytest.raises(duckdb.Error, match="impression_id"):
        open_lake(settings)
