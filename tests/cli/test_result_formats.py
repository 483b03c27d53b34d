"""Values of every type as CSV, JSON Lines and Parquet, written out."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.errors import CommandError
from cli.result_formats import write_csv, write_json, write_parquet

Writer = Callable[[pa.RecordBatchReader, BinaryIO], None]


def written(writer: Writer, statement: str) -> str:
    sink = io.BytesIO()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    writer(connection.sql(statement).to_arrow_reader(), sink)
    return sink.getvalue().decode()


@pytest.mark.parametrize(
    ("value", "in_csv", "in_json"),
    [
        ("NULL", "", "null"),
        ("''", '""', '""'),
        ("""'say "a", b'""", '"say ""a"", b"', '"say \\"a\\", b"'),
        ("'two' || chr(10) || 'lines'", '"two\nlines"', '"two\\nlines"'),
        ("'é'", "é", '"é"'),
        ("true", "true", "true"),
        ("sum(40::BIGINT + 2)", "42", "42"),
        ("sum(9223372036854775807) + 1", "9223372036854775808", "9223372036854775808"),
        ("1.50::DECIMAL(5, 2)", "1.50", "1.50"),
        ("0.1::DOUBLE", "0.1", "0.1"),
        ("5::DOUBLE", "5.0", "5.0"),
        ("1e20::DOUBLE", "1e+20", "1e+20"),
        ("'nan'::DOUBLE", "nan", '"nan"'),
        ("-('nan'::DOUBLE)", "nan", '"nan"'),
        ("DATE '2019-11-30'", "2019-11-30", '"2019-11-30"'),
        ("TIMESTAMPTZ '2019-11-30 23:59:59.5+01'", "2019-11-30T22:59:59.500000Z", '"2019-11-30T22:59:59.500000Z"'),
        ("TIMESTAMP '2019-11-30 23:59:59'", "2019-11-30T23:59:59.000000Z", '"2019-11-30T23:59:59.000000Z"'),
        ("INTERVAL 26 HOUR", "26:00:00", '"26:00:00"'),
        ("MAP {'a': 'b', 'c': NULL}", '"{""a"":""b"",""c"":null}"', '{"a":"b","c":null}'),
        ("MAP {'a': 0.25::DOUBLE}", '"{""a"":0.25}"', '{"a":0.25}'),
        ("MAP {TIMESTAMPTZ '2019-11-30': 1}", '"{""2019-11-30T00:00:00.000000Z"":1}"', None),
        ("[1.5::DOUBLE, NULL, 'inf'::DOUBLE]", '"[1.5,null,""inf""]"', '[1.5,null,"inf"]'),
        ("[TIMESTAMPTZ '2019-11-30']", '"[""2019-11-30T00:00:00.000000Z""]"', '["2019-11-30T00:00:00.000000Z"]'),
        ("{'x': 1, 'y': NULL::INT}", '"{""x"":1,""y"":null}"', '{"x":1,"y":null}'),
        ("NULL::STRUCT(x INT)", "", "null"),
        ("[]::INT[]", "[]", "[]"),
    ],
)
def test_a_value(value: str, in_csv: str, in_json: str | None) -> None:
    assert written(write_csv, f"SELECT {value} AS v, 1 AS one") == f"v,one\n{in_csv},1\n"
    if in_json:
        assert written(write_json, f"SELECT {value} AS v, 1 AS one") == f'{{"v":{in_json},"one":1}}\n'


def test_a_result_without_rows_has_a_header_or_nothing() -> None:
    assert written(write_csv, "SELECT 1 AS a WHERE false") == "a\n"
    assert written(write_json, "SELECT 1 AS a WHERE false") == ""


def test_names_are_quoted_where_they_need_it() -> None:
    assert written(write_csv, """SELECT 1 AS "a,b", 2 AS "c""d", 3 AS a, 4 AS a""") == '"a,b","c""d",a,a\n1,2,3,4\n'
    assert written(write_json, """SELECT 1 AS "a'b", 2 AS "c""d" """) == '{"a\'b":1,"c\\"d":2}\n'


def test_two_columns_of_one_name_are_refused_where_one_would_be_lost() -> None:
    for writer in (write_json, write_parquet):
        with pytest.raises(CommandError, match="two columns are named a"):
            written(writer, "SELECT 1 AS a, 2 AS a")


def test_parquet_keeps_types_and_makes_those_of_one_engine_common() -> None:
    sink = io.BytesIO()
    statement = """
        SELECT sum(2::BIGINT) AS s, 1.5 AS d, TIMESTAMP '2019-11-30' AS t, MAP {'a': 1.0::DOUBLE} AS m,
               INTERVAL 26 HOUR AS i"""
    write_parquet(duckdb.connect().sql(statement).to_arrow_reader(), sink)
    table = pq.read_table(io.BytesIO(sink.getvalue()))
    assert table.schema.field("s").type == pa.int64()
    assert table.schema.field("t").type == pa.timestamp("us", "UTC")
    instant = datetime(2019, 11, 30, tzinfo=UTC)
    assert table.to_pylist() == [{"s": 2, "d": Decimal("1.5"), "t": instant, "m": [("a", 1.0)], "i": "26:00:00"}]


def test_a_length_of_time_is_the_same_however_an_engine_counts_days() -> None:
    sinks = [io.BytesIO(), io.BytesIO()]
    spark = pa.table({"d": pa.array([timedelta(days=1, hours=2, milliseconds=5)], pa.duration("us"))})
    write_csv(spark.to_reader(), sinks[0])
    duck = duckdb.connect().sql("SELECT INTERVAL 1 DAY + INTERVAL 2 HOUR + INTERVAL 5 MILLISECOND AS d")
    write_csv(duck.to_arrow_reader(), sinks[1])
    assert [sink.getvalue().decode() for sink in sinks] == ["d\n26:00:00.005\n"] * 2


def test_rows_keep_their_order_over_many_batches() -> None:
    lines = written(write_csv, "SELECT range AS n FROM range(100000) ORDER BY n DESC").splitlines()
    assert lines[1:] == [str(number) for number in range(99999, -1, -1)]
