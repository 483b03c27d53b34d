"""SQL for typed rows: each type, what is no value of it, and the contract's rules in the words of refine_events."""

import pyarrow as pa
import pytest

from cli.importing.line_sql import LineQuery, LineSql
from cli.importing.row_sql import Value, row_query, typed
from data_contracts.schema import Column


def lines(*texts: str | None) -> pa.Table:
    return pa.table({"line_number": pa.array(range(1, len(texts) + 1), pa.int64()), "a": pa.array(texts, pa.string())})


def rows(value: Value, *texts: str | None) -> list[tuple]:
    return LineSql().rows(row_query([value], "lines"), lines(*texts))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("STRING", "1.50", "1.50"),
        ("INT", "7", 7),
        ("INT", "7.0", 7),
        ("INT", "7.5", None),
        ("INT", "x", None),
        ("INT", "99999999999", None),
        ("DOUBLE", "7.5", 7.5),
        ("DOUBLE", "inf", None),
        ("DOUBLE", "nan", None),
        ("DOUBLE", "x", None),
        ("BOOLEAN", "true", True),
        ("BOOLEAN", "0", False),
        ("BOOLEAN", "x", None),
        ("TIMESTAMP", "1970-01-01T00:00:01.000002Z", "1970-01-01T00:00:01.000002Z"),
        ("TIMESTAMP", "1970-01-01 01:00:00+01", "1970-01-01T00:00:00.000000Z"),
        ("TIMESTAMP", "1970-01-01", "1970-01-01T00:00:00.000000Z"),
        ("TIMESTAMP", "0001-01-01", "0001-01-01T00:00:00.000000Z"),
        ("TIMESTAMP", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("TIMESTAMP", "10000-01-01", None),
        ("TIMESTAMP", "0001-12-31 (BC)", None),
        ("TIMESTAMP", "infinity", None),
        ("TIMESTAMP", "x", None),
    ],
)
def test_a_text_as_a_value_of_a_contract_type(kind, text, value):
    query = f"SELECT {typed('a', kind)} FROM lines"
    ((found,),) = LineSql().rows(LineQuery(query, query, query), lines(text))
    assert (found, type(found)) == (value, type(value))


def test_a_stated_value_that_is_none_of_its_type_is_a_mistake_and_an_absent_one_is_not():
    assert rows(Value("position", "a", "INT"), "3", "abc", None) == [
        (1, 3, "", ""),
        (2, None, "position: not a INT", ""),
        (3, None, "", ""),
    ]


def test_an_expression_that_fails_is_a_mistake_of_its_line_alone():
    assert rows(Value("location", "'at ' || CAST(a AS INT)", "STRING"), "3", "abc", None) == [
        (1, "at 3", "", ""),
        (2, None, "location: cannot be computed", ""),
        (3, None, "", ""),
    ]


@pytest.mark.parametrize(
    ("column", "text", "breach"),
    [
        (Column("ad_id", "STRING", ""), None, "ad_id: missing"),
        (Column("ad_id", "STRING", ""), "x", ""),
        (Column("ad_id", "STRING", "", nullable=True), None, ""),
        (Column("ad_id", "STRING", "", default="unknown"), None, ""),
        (Column("position", "INT", "", nullable=True, minimum=1, maximum=1000), "0", "position: below 1"),
        (Column("position", "INT", "", nullable=True, minimum=1, maximum=1000), "1", ""),
        (Column("position", "INT", "", nullable=True, minimum=1, maximum=1000), "1000", ""),
        (Column("position", "INT", "", nullable=True, minimum=1, maximum=1000), "1001", "position: above 1000"),
        (Column("position", "INT", "", nullable=True, minimum=1, maximum=1000), None, ""),
        (Column("consent", "STRING", "", default="no", allowed=("yes", "no")), "maybe", "consent: not one of yes, no"),
        (Column("consent", "STRING", "", default="no", allowed=("yes", "no")), "yes", ""),
    ],
)
def test_what_the_contract_will_refuse_is_said_in_its_words(column, text, breach):
    ((_, _, mistakes, breaches),) = rows(Value(column.name, "a", column.type, column), text)
    assert (mistakes, breaches) == ("", breach)


def test_all_that_is_wrong_with_a_line_is_said():
    values = [
        Value("position", "a", "INT"),
        Value("propensity", "a", "DOUBLE"),
        Value("ad_id", "NULL", "STRING", Column("ad_id", "STRING", "")),
    ]
    ((*_, mistakes, breaches),) = LineSql().rows(row_query(values, "lines"), lines("x"))
    assert (mistakes, breaches) == ("position: not a INT; propensity: not a DOUBLE", "ad_id: missing")
