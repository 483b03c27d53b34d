"""SQL on lines: one bad line costs its own value, and no other value changes, whatever the expressions."""

import random
from itertools import product

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.line_sql import ROW_ERRORS, LineSql, identifier, typed

EXPRESSIONS = (
    "COALESCE(CAST((a = 1) AS BOOLEAN), false)",
    "CAST(a AS INT) + CAST(b AS INT)",
    "CASE WHEN a = 'abc' THEN 'text' ELSE CAST(CAST(b AS INT) AS VARCHAR) END",
    "a = 1 OR b = 2",
    "COALESCE(CASE WHEN b = 'x' THEN NULL ELSE CAST(a AS INT) END, 7) + 1",
    "list_contains([CAST(a AS INT), 3], 3)",
    "b",
)
VALUES = ("0", "1", "2", "3", "x", "abc", None)


def table(rows: list[tuple]) -> pa.Table:
    return pa.table(
        {
            "line_number": pa.array(range(2, len(rows) + 2), pa.int64()),
            "a": pa.array([row[0] for row in rows], pa.string()),
            "b": pa.array([row[1] for row in rows], pa.string()),
        }
    )


@pytest.fixture(scope="module")
def expected() -> dict[tuple, tuple]:
    """What each expression gives for each pair of values when the pair is alone and nothing is guarded."""

    def alone(expression: str) -> object:
        try:
            return connection.execute(f"SELECT {expression} FROM lines").fetchall()[0][0]
        except ROW_ERRORS:
            return None

    found = {}
    for pair in product(VALUES, VALUES):
        connection = duckdb.connect()
        connection.register("lines", table([pair]))
        found[pair] = tuple(alone(expression) for expression in EXPRESSIONS)
    return found


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(VALUES), st.sampled_from(VALUES)), min_size=1, max_size=200))
def test_the_values_of_a_line_are_those_it_has_alone(expected, rows):
    assert LineSql().values(EXPRESSIONS, "lines", table(rows)) == [expected[row] for row in rows]


def test_lines_beside_bad_ones_keep_their_values_in_batch_after_batch():
    """These expressions and this order of batches made DuckDB's TRY answer wrongly in half of the batches."""
    judged = {"0": False, "1": True, "2": False, "3": False, None: False, "x": None, "abc": None}
    expressions = (EXPRESSIONS[0], "CAST(a AS INT) + CAST(b AS INT)", "'z' || CAST(b AS INT)")
    chosen, sql = random.Random(7), LineSql()
    for _ in range(10):
        rows = [(chosen.choice(VALUES), chosen.choice(VALUES)) for _ in range(2_048)]
        found = sql.values(expressions, "lines", table(rows))
        assert [value for value, _, _ in found] == [judged[a] for a, _ in rows]


@pytest.mark.parametrize("place", [0, 1, 2_047, 2_048, 4_999])
def test_one_bad_line_of_5000_costs_its_own_value(place):
    rows = [("1" if number % 2 else "0", "2") for number in range(5_000)]
    rows[place] = ("bad", "2")
    found = LineSql().values(EXPRESSIONS[:1], "lines", table(rows))
    assert found == [(None if number == place else bool(number % 2),) for number in range(5_000)]


def test_no_lines_give_no_values():
    assert LineSql().values(EXPRESSIONS, "lines", table([])) == []


def test_what_two_expressions_share_fails_neither_for_the_other_lines():
    shared = ("CAST(a AS INT)", "CAST(a AS INT) + 1", "COALESCE(CAST(a AS INT), 0)")
    assert LineSql().values(shared, "lines", table([("x", None), ("1", None)])) == [(None, None, None), (1, 2, 1)]


def test_constants_of_the_relation_are_columns():
    relation = "(SELECT *, 'north' AS place FROM lines)"
    assert LineSql().values(["place || a"], relation, table([("1", None)])) == [("north1",)]


def test_an_error_that_is_no_lines_fault_is_not_swallowed():
    with pytest.raises(duckdb.BinderException):
        LineSql().values(["c"], "lines", table([("1", None)]))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("STRING", "1.50", "1.50"),
        ("INT", "7", 7),
        ("INT", "7.0", 7),
        ("INT", "7.5", None),
        ("INT", "x", None),
        ("DOUBLE", "7.5", 7.5),
        ("DOUBLE", "inf", None),
        ("DOUBLE", "nan", None),
        ("DOUBLE", "x", None),
        ("BOOLEAN", "true", True),
        ("BOOLEAN", "0", False),
        ("BOOLEAN", "x", None),
        ("TIMESTAMP", "1970-01-01T00:00:01.000002Z", 1_000_002),
        ("TIMESTAMP", "1970-01-01 01:00:00+01", 0),
        ("TIMESTAMP", "1970-01-01", 0),
        ("TIMESTAMP", "infinity", None),
        ("TIMESTAMP", "x", None),
    ],
)
def test_a_text_as_a_value_of_a_contract_type(kind, text, value):
    ((found,),) = LineSql().values([typed("a", kind)], "lines", table([(text, None)]))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("a || b", ""),
        ("c", 'Binder Error: Referenced column "c" not found in FROM clause!'),
        ("count(*)", "Binder Error: aggregates are not allowed inside the TRY expression"),
        ("random()", "Binder Error: TRY can not be used in combination with a volatile function"),
        ("a), (b", "not one SQL expression"),
    ],
)
def test_an_expression_that_cannot_be_used_is_told_why(expression, complaint):
    assert LineSql().complaint(expression, "lines", table([("x", "y")])) == complaint


def test_an_identifier_may_hold_quotes():
    assert identifier('a "b"') == '"a ""b"""'
