"""validation_results as a page that a person can read: one file, nothing fetched, no value of a row in it."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from data_contracts.page_style import STYLE
from data_contracts.schema import Table
from data_contracts.tables import TABLES

COULD_NOT_RUN = "could not run: "
RUNS_SHOWN = 30

Result = Mapping[str, Any]
Runs = dict[datetime, list[Result]]
"""The results of a table by their run, the newest first."""


def write_page(results: DataFrame, page: Path) -> None:
    """Write the page from the newest runs of each table; a reader sees the old page or this."""
    newest_first = F.col("checked_at").desc_nulls_last(), F.col("as_of").desc()
    newest = F.dense_rank().over(Window.partitionBy("table_name").orderBy(*newest_first))
    rows = results.withColumn("age", newest).where(F.col("age") <= RUNS_SHOWN).orderBy("age").drop("age").collect()
    page.parent.mkdir(parents=True, exist_ok=True)
    beside = page.with_suffix(f".{os.getpid()}")
    beside.write_text(validation_page([row.asDict() for row in rows]), encoding="utf-8")
    beside.replace(page)


def validation_page(results: Iterable[Result]) -> str:
    """The page, from rows of validation_results that come newest run first."""
    tables: dict[str, Runs] = defaultdict(lambda: defaultdict(list))
    for result in results:
        tables[result["table_name"]][result["as_of"]].append(result)
    known = {name: tables[name] for name in TABLES if name in tables}
    rows = "".join(map(_overview, known.items()))
    sections = "".join(map(_section, known.items()))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Clicklake: validation</title><style>{STYLE}</style></head><body><main>"
        f"<h1>Validation</h1>{_summary(known)}"
        '<div class="wide"><table class="overview"><thead><tr><th>table<th>expectations<th>checked at<th>as of'
        '<th class="number">version<th class="number">rows checked<th>runs, newest last</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{sections}"
        "<footer>Great Expectations checks, after each load, the partitions that changed since their table last met its"
        " contract, and whole tables where that is not known. Rows: <code>SELECT * FROM validation_results</code>."
        "</footer></main></body></html>\n"
    )


def _newest(runs: Runs) -> list[Result]:
    return next(iter(runs.values()))


def _broken(run: list[Result]) -> list[Result]:
    return [result for result in run if not result["success"]]


def _summary(tables: dict[str, Runs]) -> str:
    if not tables:
        return '<p class="summary">No table was checked yet.</p>'
    results = [result for runs in tables.values() for result in _newest(runs)]
    broken = len(_broken(results))
    if not broken:
        return f'<p class="summary met">All {len(results)} expectations on {len(tables)} tables are met.</p>'
    where = ", ".join(f'<a href="#{name}">{name}</a>' for name, runs in tables.items() if _broken(_newest(runs)))
    return f'<p class="summary broken">{broken} of {len(results)} expectations are broken, in {where}.</p>'


def _overview(entry: tuple[str, Runs]) -> str:
    name, runs = entry
    run = _newest(runs)
    checked_at, as_of, version, rows = _told(run)
    return (
        f'<tr><td><a href="#{name}">{name}</a><td>{_mark(run)}<td>{checked_at}<td>{as_of}'
        f'<td class="number">{version}<td class="number">{rows}<td>{_strip(runs)}</tr>'
    )


def _mark(run: list[Result]) -> str:
    broken = len(_broken(run))
    return (
        f'<span class="mark broken">✕ {broken} of {len(run)} broken</span>'
        if broken
        else f'<span class="mark met">✓ {len(run)} met</span>'
    )


def _told(run: list[Result]) -> tuple[str, str, str, str]:
    """checked_at, as_of, version and rows as text; empty where an older run did not record it."""
    checked_at, version, rows = (run[0][name] for name in ("checked_at", "table_version", "rows_checked"))
    return (
        f"{checked_at:%Y-%m-%d %H:%M}" if checked_at else "",
        f"{run[0]['as_of']:%Y-%m-%d %H:%M}",
        "" if version is None else str(version),
        "" if rows is None else f"{rows:,}",
    )


def _strip(runs: Runs) -> str:
    """A bar a run, the oldest first; a broken one is told apart by its height as well as its colour."""
    bars = []
    for place, run in enumerate(reversed(runs.values())):
        broken, (_, as_of, version, _) = len(_broken(run)), _told(run)
        title = f"as of {as_of}, version {version}: {f'{broken} of {len(run)} broken' if broken else f'{len(run)} met'}"
        kind, top, height = ("broken", 0, 16) if broken else ("met", 8, 8)
        bars.append(
            f'<rect class="{kind}" x="{place * 8}" y="{top}" width="6" height="{height}" rx="1">'
            f"<title>{escape(title)}</title></rect>"
        )
    width = len(bars) * 8
    return f'<svg width="{width}" height="16" role="img" aria-label="{_last_runs(runs)}">{"".join(bars)}</svg>'


def _section(entry: tuple[str, Runs]) -> str:
    name, runs = entry
    table, run = TABLES[name], _newest(runs)
    checked_at, as_of, version, rows = _told(run)
    ordered = sorted(run, key=lambda result: (result["success"], _place(table, result)))
    lines = "".join(_expectation(table, result) for result in ordered)
    is_open = " open" if _broken(run) else ""
    return (
        f'<section id="{name}"><h2>{name} {_mark(run)}</h2><p>{escape(table.about)}</p>'
        f'<p class="told">Checked at {checked_at or "?"} as of {as_of} UTC: {rows or "?"} rows of version'
        f" {version or '?'}.</p>"
        f"<details{is_open}><summary>{len(run)} expectations</summary>"
        '<div class="wide"><table><thead><tr><th>result<th>column<th>what must hold<th>what the column is</tr></thead>'
        f"<tbody>{lines}</tbody></table></div></details>{_history(runs)}</section>"
    )


def _last_runs(runs: Runs) -> str:
    return f"the last {len(runs)} runs" if len(runs) > 1 else "the only run so far"


def _history(runs: Runs) -> str:
    lines = []
    for run in runs.values():
        checked_at, as_of, version, rows = _told(run)
        lines.append(
            f'<tr><td>{checked_at}<td>{as_of}<td class="number">{version}<td class="number">{rows}<td>{_mark(run)}</tr>'
        )
    return (
        f"<details><summary>{_last_runs(runs)}</summary>"
        '<table><thead><tr><th>checked at<th>as of<th class="number">version<th class="number">rows checked'
        f"<th>expectations</tr></thead><tbody>{''.join(lines)}</tbody></table></details>"
    )


def _expectation(table: Table, result: Result) -> str:
    column = next((column for column in table.columns if column.name == result["column_name"]), None)
    about = escape(column.about) if column else ""
    mark = '<span class="mark met">✓ met</span>' if result["success"] else '<span class="mark broken">✕ broken</span>'
    why = ""
    if result["detail"].startswith(COULD_NOT_RUN):
        mark = '<span class="mark failed">! could not run</span>'
        why = f'<div class="why">{escape(result["detail"].removeprefix(COULD_NOT_RUN))}</div>'
    name = f"<code>{escape(result['column_name'])}</code>" if result["column_name"] else "the table"
    return f"<tr><td>{mark}<td>{name}<td>{_words(table, result)}{why}<td>{about}</tr>"


def _place(table: Table, result: Result) -> int:
    names = table.column_names
    return names.index(result["column_name"]) if result["column_name"] in names else -1


def _words(table: Table, result: Result) -> str:
    """An expectation as a sentence about its column, from the contract."""
    column = next((column for column in table.columns if column.name == result["column_name"]), None)
    match result["expectation"]:
        case "expect_column_values_to_not_be_null":
            return "is never null"
        case "expect_column_values_to_be_unique":
            return "is unique within the checked rows"
        case "expect_compound_columns_to_be_unique":
            return f"{escape(', '.join(table.key))} together are unique within the checked rows"
        case "expect_table_columns_to_match_set":
            return f"has the {len(table.columns)} columns of the contract and no other"
        case "expect_column_values_to_be_in_set" if column:
            return "is one of " + ", ".join(f"<code>{escape(value)}</code>" for value in column.allowed)
        case "expect_column_values_to_be_between" if column and column.maximum is None:
            return f"is at least {column.minimum:g}"
        case "expect_column_values_to_be_between" if column and column.minimum is None:
            return f"is at most {column.maximum:g}"
        case "expect_column_values_to_be_between" if column:
            return f"lies within {column.minimum:g} and {column.maximum:g}"
    return escape(result["expectation"].replace("_", " "))
