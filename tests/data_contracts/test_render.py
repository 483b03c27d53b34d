"""One small table rendered, each text written out; the views are executed by a real DuckDB."""

import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.render import (
    column_words,
    docs_markdown,
    duckdb_scan,
    duckdb_view,
    expectations,
    quoted,
    spark_ddl,
    spark_scan,
    spark_view,
)
from data_contracts.schema import Column, Table
from data_contracts.tables import TABLES

BIDS = Table(
    "bids",
    "An auction's bid.",
    (
        Column("bid_id", "STRING", "the bid"),
        Column("cents", "INT", "what is bid, the bidder's own", minimum=0, maximum=500),
        Column("rank", "INT", "place", nullable=True, allowed=("1", "2")),
        Column("kind", "STRING", "how", default="first", allowed=("first", "second")),
        Column("weight", "DOUBLE", "at least nothing", minimum=0.5),
        Column("date", "DATE", "UTC day"),
    ),
    key=("bid_id",),
    partition_by=("date",),
)
PAIRS = Table("pairs", "Two.", (Column("a", "STRING", "a"), Column("b", "STRING", "b", nullable=True)), key=("a", "b"))


def test_spark_ddl():
    assert spark_ddl(BIDS, "/lake/bids") == (
        "CREATE TABLE IF NOT EXISTS delta.`/lake/bids` (\n"
        "  `bid_id` STRING NOT NULL COMMENT 'the bid',\n"
        "  `cents` INT NOT NULL COMMENT 'what is bid, the bidder''s own',\n"
        "  `rank` INT COMMENT 'place',\n"
        "  `kind` STRING NOT NULL COMMENT 'how',\n"
        "  `weight` DOUBLE NOT NULL COMMENT 'at least nothing',\n"
        "  `date` DATE NOT NULL COMMENT 'UTC day'\n"
        ") USING DELTA\nPARTITIONED BY (date)\n"
        "COMMENT 'An auction''s bid.'\n"
        "TBLPROPERTIES ('delta.enableDeletionVectors' = 'false', 'delta.columnMapping.mode' = 'none')"
    )


def test_spark_ddl_without_partitions_says_nothing_of_them():
    assert "PARTITIONED" not in spark_ddl(PAIRS, Path("/lake/pairs"))


def test_expectations_say_what_the_contract_says():
    assert expectations(BIDS) == [
        {
            "type": "expect_table_columns_to_match_set",
            "kwargs": {"column_set": ["bid_id", "cents", "rank", "kind", "weight", "date"], "exact_match": True},
        },
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "bid_id"}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "cents"}},
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "cents", "min_value": 0, "max_value": 500},
        },
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "rank", "value_set": [1, 2]}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "kind"}},
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "kind", "value_set": ["first", "second"]},
        },
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "weight"}},
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "weight", "min_value": 0.5, "max_value": None},
        },
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "date"}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "bid_id"}},
    ]


def test_a_key_of_several_columns_is_unique_as_a_whole():
    assert expectations(PAIRS)[-1] == {
        "type": "expect_compound_columns_to_be_unique",
        "kwargs": {"column_list": ["a", "b"]},
    }


def test_the_view_of_a_table_not_yet_written_has_its_columns_and_no_rows():
    connection = duckdb.connect()
    connection.execute(duckdb_view(BIDS, None))
    found = connection.execute("SELECT * FROM bids")
    assert [(column[0], str(column[1])) for column in found.description] == [
        ("bid_id", "VARCHAR"),
        ("cents", "INTEGER"),
        ("rank", "INTEGER"),
        ("kind", "VARCHAR"),
        ("weight", "DOUBLE"),
        ("date", "DATE"),
    ]
    assert found.fetchall() == []


def test_the_view_of_a_written_table_names_its_columns_in_the_contracts_order():
    assert duckdb_view(PAIRS, duckdb_scan(Path("/la'ke/pairs"), None)) == (
        """CREATE OR REPLACE VIEW "pairs" AS SELECT "a", "b" FROM delta_scan('/la''ke/pairs')"""
    )
    assert spark_view(PAIRS, spark_scan(Path("/lake/pairs"), None)) == (
        "CREATE OR REPLACE TEMP VIEW `pairs` AS SELECT `a`, `b` FROM delta.`/lake/pairs`"
    )


def test_a_view_may_be_of_an_older_version_that_lacks_a_column():
    assert duckdb_view(PAIRS, duckdb_scan(Path("/lake/pairs"), 3), lacking={"b"}) == (
        'CREATE OR REPLACE VIEW "pairs" AS '
        """SELECT "a", CAST(NULL AS VARCHAR) AS "b" FROM delta_scan('/lake/pairs', version => 3)"""
    )
    assert spark_view(PAIRS, spark_scan(Path("/lake/pairs"), 3), lacking={"b"}) == (
        "CREATE OR REPLACE TEMP VIEW `pairs` AS "
        "SELECT `a`, CAST(NULL AS STRING) AS `b` FROM delta.`/lake/pairs` VERSION AS OF 3"
    )


def test_the_words_of_a_column_hold_its_rules():
    words = {(table, column): (kind, about) for table, column, kind, about in column_words()}
    assert words["clicks", "clicked"] == (
        "BOOLEAN",
        "true for a click; false is a stated non-click (`true` when not stated)",
    )
    assert len(words) == sum(len(table.columns) for table in TABLES.values())


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_every_table_of_the_contract_has_a_view_that_duckdb_accepts(table):
    connection = duckdb.connect()
    connection.execute(duckdb_view(table, None))
    found = connection.execute(f'SELECT * FROM "{table.name}"')
    assert tuple(column[0] for column in found.description) == table.column_names


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_ddl_and_page_hold_every_column_with_its_type_in_the_contracts_order(table):
    expected = [(column.name, column.type) for column in table.columns]
    ddl = re.findall(r"^  `(\w+)` (\S+)", spark_ddl(table, "/lake"), re.MULTILINE)
    page = docs_markdown().split(f"\n## {table.name}\n")[1].split("\n## ")[0]
    assert ddl == expected
    assert re.findall(r"^\| `(\w+)` \| (\S+) \|", page, re.MULTILINE) == expected


def test_every_row_of_the_page_has_three_cells():
    rows = [line for line in docs_markdown().splitlines() if line.startswith("|")]
    assert len(rows) == sum(len(table.columns) + 2 for table in TABLES.values())
    assert [row for row in rows if len(re.findall(r"(?<!\\)\|", row)) != 4] == []


def test_the_page_states_the_rules_of_a_column():
    page = docs_markdown()
    assert "| `position` | INT | slot on the page, 1 is the best (may be null; 1 to 1000) |" in page
    assert "| `files` | BIGINT | Parquet files of that version (at least 0) |" in page
    assert (
        "| `consent` | STRING | may the user's history be used "
        "(`unknown` when not stated; one of `granted`, `denied`, `unknown`) |"
    ) in page
    assert "An ad shown once. Key: `impression_id`. Partitioned by `date`." in page


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_quoted_text_comes_back_from_sql_as_it_was(text):
    assert duckdb.sql(f"SELECT {quoted(text)}").fetchall() == [(text,)]
