"""SQL that turns the expressions of a section into typed values, beside what is wrong with them by the contract."""

from collections.abc import Sequence
from dataclasses import dataclass

from cli.importing.line_sql import LineQuery
from cli.importing.rows import LINE_NUMBER
from data_contracts.render import limits, quoted
from data_contracts.schema import Column

FIRST_INSTANT, LAST_INSTANT = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"
INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Value:
    """An SQL expression whose value is to be of a contract type; `name` is how a reason calls it, and `column` the
    contract's column where it has one."""

    name: str
    expression: str
    type: str
    column: Column | None = None


def row_query(values: Sequence[Value], relation: str) -> LineQuery:
    """A query for rows of line number, the typed values, and two texts that are empty for a good line: what could not
    be had from it (`mistakes`, also an expression that fails on it), and what the contract will refuse (`breaches`)."""
    sql = [f"({value.expression}\n)" for value in values]
    fails = [f"TRY({expression} IS NULL) IS NULL" for expression in sql]
    query = _rows_of(values, sql, ["false"] * len(sql), relation)
    guarded = _rows_of(values, [f"TRY({expression})" for expression in sql], fails, relation)
    return LineQuery(query, guarded, f"SELECT {' OR '.join(fails)} FROM {relation}")


def _rows_of(values: Sequence[Value], sql: Sequence[str], fails: Sequence[str], relation: str) -> str:
    """Each step of the query is computed once, since the next only names it: stated (e), failing (f), typed (t)."""
    places = range(len(values))
    stated = [f"{sql[place]} AS e{place}, {fails[place]} AS f{place}" for place in places]
    typed_values = [f"{typed(f'e{place}', values[place].type)} AS t{place}" for place in places]
    mistakes = [f"CASE {_mistakes(values[place], place)} END" for place in places]
    breaches = [part for place in places for part in _breaches(values[place], place)]
    shown = [LINE_NUMBER, *(f"t{place}" for place in places), _reasons(mistakes), _reasons(breaches)]
    first = f"SELECT {', '.join([LINE_NUMBER, *stated])} FROM {relation}"
    return f"SELECT {', '.join(shown)} FROM (SELECT *, {', '.join(typed_values)} FROM ({first}))"


def typed(expression: str, kind: str) -> str:
    """SQL for an expression as a value of a contract type, NULL where it is none. A TIMESTAMP becomes the text that
    landing.instant_text gives; one without a zone is in UTC. What is not whole is no INT, what is not finite no DOUBLE.
    """
    if kind == "INT":
        number = f"TRY_CAST({expression} AS INT)"
        return f"CASE WHEN TRY_CAST({expression} AS DOUBLE) = {number} THEN {number} END"
    if kind == "DOUBLE":
        number = f"TRY_CAST({expression} AS DOUBLE)"
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    if kind == "TIMESTAMP":
        instant = f"TRY_CAST({expression} AS TIMESTAMPTZ)"
        is_known = f"{instant} BETWEEN '{FIRST_INSTANT}' AND '{LAST_INSTANT}'"
        return f"CASE WHEN {is_known} THEN strftime(make_timestamp(epoch_us({instant})), '{INSTANT_FORMAT}') END"
    return f"TRY_CAST({expression} AS {'BOOLEAN' if kind == 'BOOLEAN' else 'VARCHAR'})"


def _mistakes(value: Value, place: int) -> str:
    failing = f"WHEN f{place} THEN {quoted(f'{value.name}: cannot be computed')}"
    if value.type == "STRING":  # everything has a text
        return failing
    words = quoted(f"{value.name}: not a {value.type}")
    return f"{failing} WHEN e{place} IS NOT NULL AND t{place} IS NULL THEN {words}"


def _breaches(value: Value, place: int) -> list[str]:
    """The contract's rules as refine_events words them; a row that breaks one is refused there."""
    column = value.column
    if column is None:
        return []
    rules = [(f"t{place} IS NOT NULL", "missing")] if column.is_required else []
    rules += limits(column, f"t{place}")
    return [f"CASE WHEN NOT ({rule}) THEN {quoted(f'{column.name}: {words}')} END" for rule, words in rules]


def _reasons(parts: Sequence[str]) -> str:
    return f"concat_ws('; ', {', '.join(parts)})" if parts else "''"
