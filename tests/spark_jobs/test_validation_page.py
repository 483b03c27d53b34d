"""The page that validation_results become: what it says, and that it fetches nothing."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from data_contracts.render import expectations
from data_contracts.tables import CLICKS, LABELS, TABLES
from spark_jobs.validation_page import validation_page

NOON, ONE = (datetime(2026, 1, 10, hour, tzinfo=UTC) for hour in (12, 13))


def run(table: Any, as_of: datetime, **broken: str) -> list[dict[str, Any]]:
    """All expectations of a table; `broken` holds, by column, the detail of its first one."""
    rows = [
        {
            "table_name": table.name,
            "as_of": as_of,
            "expectation": each["type"],
            "column_name": each["kwargs"].get("column"),
            "success": True,
            "detail": "{}",
            "table_version": 7,
            "rows_checked": 12345,
            "checked_at": as_of + timedelta(minutes=5),
        }
        for each in expectations(table)
    ]
    for column, detail in broken.items():
        next(row for row in rows if row["column_name"] == column).update(success=False, detail=detail)
    return rows


class Text(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.parts.append(data.strip())


def text(page: str) -> str:
    return " ".join(filter(None, Text(page.split("</style>")[1]).parts))


def test_what_is_met_is_said_with_version_and_rows():
    shown = text(validation_page(run(CLICKS, NOON)))
    assert "All 11 expectations on 1 tables are met." in shown
    assert "clicks ✓ 11 met 2026-01-10 12:05 2026-01-10 12:00 7 12,345" in shown
    assert "✓ met clicked is never null true for a click; false is a stated non-click" in shown
    assert "✓ met the table has the 11 columns of the contract and no other" in shown
    assert "✓ met click_id is unique within the checked rows UUID of the click" in shown


def test_what_is_broken_comes_first_and_is_told_apart_from_what_could_not_run():
    page = validation_page(
        run(LABELS, NOON, state="{}", matures_at="could not run: DIVIDE_BY_ZERO") + run(CLICKS, NOON)
    )
    shown = text(page)
    assert "2 of 20 expectations are broken, in labels ." in shown
    assert "result column what must hold what the column is ✕ broken state is never null" in shown
    assert "! could not run matures_at is never null DIVIDE_BY_ZERO from when the label may be believed" in shown
    assert page.count("<details open>") == 1


def test_the_newest_run_is_shown_and_the_others_are_its_history():
    page = validation_page(run(CLICKS, ONE) + run(CLICKS, NOON, click_id="{}"))
    assert "All 11 expectations on 1 tables are met." in text(page)
    assert re.findall(r"<title>(as of.*?)</title>", page) == [
        "as of 2026-01-10 12:00, version 7: 1 of 11 broken",
        "as of 2026-01-10 13:00, version 7: 11 met",
    ]
    assert "the last 2 runs" in text(page)


def test_results_of_before_versions_were_kept_are_shown_too():
    lacking = {"table_version": None, "rows_checked": None, "checked_at": None}
    shown = text(validation_page([{**row, **lacking} for row in run(CLICKS, NOON)]))
    assert "Checked at ? as of 2026-01-10 12:00 UTC: ? rows of version ?." in shown
    assert "the only run so far" in shown


def test_an_empty_page_says_so():
    assert "No table was checked yet." in validation_page([])


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_every_expectation_of_the_contract_has_words(table):
    assert "expect column" not in text(validation_page(run(table, NOON)))


def test_markup_in_an_error_is_text():
    page = validation_page(run(CLICKS, NOON, click_id="could not run: <script>alert(1)</script>"))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_page_fetches_nothing():
    page = validation_page(run(CLICKS, NOON))
    assert re.findall(r"https?:|<script|<link|@import|url\(|src=", page) == []
