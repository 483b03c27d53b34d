"""SQL on lines: one bad line costs its own value, and no other value changes, whatever the expressions."""

import random
from dataclasses import replace
from itertools import product

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.importing.line_sql import ROW_ERRORS, LineQuery, LineSql, identifier

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


def values(sql: LineSql, expressions: tuple[str, ...], lines: pa.Table, relation: str = "lines") -> list[tuple]:
    return sql.rows(query_of(expressions, relation), lines)


def query_of(expressions: tuple[str, ...], relation: str = "lines") -> LineQuery:
    guarded = ", ".join(f"TRY({expression})" for expression in expressions)
    failing = " OR ".join(f"TRY({expression} IS NULL) IS NULL" for expression in expressions)
    return LineQuery(*(f"SELECT {asked} FROM {relation}" for asked in (", ".join(expressions), guarded, failing)))


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
    assert values(LineSql(), EXPRESSIONS, table(rows)) == [expected[row] for row in rows]


def test_lines_beside_bad_ones_keep_their_values_in_batch_after_batch():
    """These expressions and this order of batches made DuckDB's TRY answer wrongly in half of the batches."""
    judged = {"0": False, "1": True, "2": False, "3": False, None: False, "x": None, "abc": None}
    expressions = (EXPRESSIONS[0], "CAST(a AS INT) + CAST(b AS INT)", "'z' || CAST(b AS INT)")
    chosen, sql = random.Random(7), LineSql()
    for _ in range(10):
        rows = [(chosen.choice(VALUES), chosen.choice(VALUES)) for _ in range(2_048)]
        found = values(sql, expressions, table(rows))
        assert [value for value, _, _ in found] == [judged[a] for a, _ in rows]


@pytest.mark.parametrize("place", [0, 1, 2_047, 2_048, 4_999])
def test_one_bad_line_of_5000_costs_its_own_value(place):
    rows = [("1" if number % 2 else "0", "2") for number in range(5_000)]
    rows[place] = ("bad", "2")
    found = values(LineSql(), EXPRESSIONS[:1], table(rows))
    assert found == [(None if number == place else bool(number % 2),) for number in range(5_000)]


def test_no_lines_give_no_values():
    assert values(LineSql(), EXPRESSIONS, table([])) == []


def test_what_two_expressions_share_fails_neither_for_the_other_lines():
    shared = ("CAST(a AS INT)", "CAST(a AS INT) + 1", "COALESCE(CAST(a AS INT), 0)")
    assert values(LineSql(), shared, table([("x", None), ("1", None)])) == [(None, None, None), (1, 2, 1)]


def test_constants_of_the_relation_are_columns():
    relation = "(SELECT *, 'north' AS place FROM lines)"
    assert values(LineSql(), ("place || a",), table([("1", None)]), relation) == [("north1",)]


def test_an_error_that_is_no_lines_fault_is_not_swallowed():
    with pytest.raises(duckdb.BinderException):
        values(LineSql(), ("c",), table([("1", None)]))


@pytest.mark.parametrize("failing", ["false", "a = '1'", "CAST(a AS BOOLEAN)"])
def test_a_wrong_answer_which_lines_fail_costs_time_and_no_value(failing):
    asked = replace(query_of(("COALESCE(CAST((a = 1) AS BOOLEAN), false)",)), failing=f"SELECT {failing} FROM lines")
    rows = [("bad" if number % 7 == 3 else str(number % 2), "x") for number in range(1_000)]
    found = LineSql().rows(asked, table(rows))
    assert found == [(None if a == "bad" else a == "1",) for a, _ in rows]


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("a || b", ""),
        ("c", 'Binder Error: Referenced column "c" not found in FROM clause!'),
        ("count(*)", "Binder Error: aggregates are not allowed inside the TRY expression"),
        ("random()", "Binder Error: TRY can not be used in combination with a volatile function"),
        ("a)), TRY((b", 'Parser Error: syntax error at or near ")"'),
        ("COLUMNS('a')", "not one SQL expression that names its columns"),
    ],
)
def test_an_expression_that_cannot_be_used_is_told_why(expression, complaint):
    assert LineSql().complaint(expression, "lines", table([("x", "y")]).schema) == complaint


def test_an_identifier_may_hold_quotes():
    assert identifier('a "b"') == '"a ""b"""'


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        ("a", {"a"}),
        ('"A b" || left(c, 3)', {"a b", "c"}),
        ("'a'", set()),
        ("CASE WHEN a IS NULL THEN lines.b ELSE c->>'x' END", {"a", "lines", "b", "c"}),
        ("list_transform([1], x -> x + a)", {"x", "a"}),
        ("concat(*COLUMNS(*))", {"*"}),
        ("a -- b", {"a"}),
        ("a)", set()),
    ],
)
def test_the_columns_that_an_expression_names(expression, columns):
    assert LineSql().columns_of(expression) == columns
