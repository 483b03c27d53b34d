"""What is shown outside a terminal: plain lines, each once."""

import io

from rich.console import Console

from cli.progress import Row, board


def test_outside_a_terminal_each_outcome_is_one_plain_line() -> None:
    written = io.StringIO()
    with board(Console(file=written, width=80), "services") as shown:
        shown.show(Row("spark", "starting", 1.0))
        shown.show(Row("spark", "healthy", 14.25, "sc://127.0.0.1:1"))
        shown.show(Row("spark", "healthy", 14.5, "sc://127.0.0.1:1"))
        shown.show(Row("train", "failed", 3.0, group="train_ad_ctr"))
    assert written.getvalue().splitlines() == [
        "services",
        "  spark: healthy 14.2 s sc://127.0.0.1:1",
        "  train_ad_ctr.train: failed 3.0 s",
    ]


def test_nothing_is_titled_that_shows_nothing() -> None:
    written = io.StringIO()
    with board(Console(file=written, width=80), "services"):
        pass
    assert written.getvalue() == ""


def test_in_a_terminal_the_rows_are_a_table() -> None:
    written = io.StringIO()
    with board(Console(file=written, width=80, force_terminal=True, color_system=None), "services") as shown:
        shown.show(Row("spark", "starting", 1.0, "sc://127.0.0.1:1"))
    assert ["spark", "starting", "1.0", "sc://127.0.0.1:1"] in [
        line.split() for line in written.getvalue().splitlines()
    ]
