"""What a person sees of an import."""

import io
import re
from collections import Counter

import pytest
from rich.console import Console

from cli.importing.shown import Bar, show_next, show_summary
from cli.importing.tally import Tally


def test_the_summary_has_rows_and_the_most_frequent_reasons_of_each_table():
    shown = io.StringIO()
    reasons = Counter({"[a]: x": 5, "b": 7, "c": 5, "d": 4, "e": 3, "f": 2, "g": 1})
    show_summary(Console(file=shown, width=100), Tally(Counter(clicks=1_000), {"ads": reasons}), 500, 0.5)
    assert shown.getvalue().splitlines() == [
        "ads: 0 rows, 27 rejected",
        "          7  b",
        "          5  [a]: x",
        "          5  c",
        "          4  d",
        "          3  e",
        "          3  for other reasons",
        "clicks: 1,000 rows",
        "rejected lines go to rejected_events, with their file and line",
        "500 rows in 0.5 s, 1,000 rows/s",
    ]


@pytest.mark.parametrize("has_run", [False, True])
@pytest.mark.parametrize(("newest", "is_told"), [("2019-11-30T23:59:59.000000Z", False), ("2024-03-01", True)])
def test_the_next_step_is_told_and_what_a_stated_clock_keeps_from_the_models(settings, newest, is_told, has_run):
    if has_run:
        (settings.lake / "raw_events").mkdir(parents=True)
    shown = io.StringIO()
    show_next(Console(file=shown, width=100), settings, newest)
    first, *more = shown.getvalue().splitlines()
    by_hand = f"trigger ingest_events at {settings.airflow_url}"
    assert first.startswith(f"next: {by_hand if has_run else '`clicklake run` brings them into the tables'}")
    told = "the newest row is of 2024-03-01, after the stated clock (2019-11-30T23"
    assert [line.split(":")[0] for line in more] == [told] * is_told


def test_a_bar_shows_bytes_read_all_rows_and_the_speed_of_this_run():
    terminal = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Bar(terminal, size=2_000, rows_before=100) as bar:
        bar.show(1_000, 100)
    assert re.search(r"importing.*━.*1\.0/2\.0 kB.*100 rows, 0 rows/s", terminal.file.getvalue())


def test_outside_a_terminal_there_is_no_bar():
    plain = Console(file=io.StringIO(), width=120)
    with Bar(plain, size=2_000, rows_before=0) as bar:
        bar.show(1_000, 5)
    assert plain.file.getvalue() == ""
