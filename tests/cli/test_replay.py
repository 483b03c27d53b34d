"""What a person reads of a replay; the replay itself is in tests/spark_jobs."""

import io

import pytest
from rich.console import Console

from cli.errors import CommandError
from cli.replay import replay, show
from data_contracts.settings import Settings
from spark_jobs.rejections import SAME_ID
from spark_jobs.replay_rejected import Replay

BEFORE = {("clicks", "timestamp: missing"): 3, ("ads", "ad_id: missing"): 2}
AFTER = {("clicks", "timestamp: missing"): 1, ("clicks", "clicked: not a BOOLEAN"): 1, ("ads", "ad_id: missing"): 2}


def shown(done: Replay, dry_run: bool = False) -> list[list[str]]:
    written = io.StringIO()
    show(done, Console(file=written, width=160), dry_run)
    return [line.split() for line in written.getvalue().splitlines()]


def test_each_reason_is_a_line_with_its_rejections_before_and_after() -> None:
    assert shown(Replay(BEFORE, AFTER, BEFORE)) == [
        ["table", "reason", "before", "after"],
        ["ads", "ad_id:", "missing", "2", "2"],
        ["clicks", "clicked:", "not", "a", "BOOLEAN", "0", "1"],
        ["clicks", "timestamp:", "missing", "3", "1"],
        ["5", "chosen:", "1", "accepted,", "4", "still", "refused"],
    ]


def test_what_was_not_chosen_and_has_not_changed_is_not_shown() -> None:
    lines = shown(Replay(BEFORE, AFTER, {("clicks", "timestamp: missing"): 3}))
    assert [line[0] for line in lines] == ["table", "clicks", "clicks", "3"]


def test_where_nothing_was_chosen_it_is_said_and_all_reasons_are_shown() -> None:
    said, head, *lines = shown(Replay(BEFORE, BEFORE, {}))
    assert " ".join(said) == f"no rejection was chosen: rejected_events holds these, and never replays {SAME_ID!r}"
    assert [line[0] for line in (head, *lines)] == ["table", "ads", "clicks"]


def test_a_dry_run_says_that_nothing_was_done_and_lines_that_are_gone_are_counted() -> None:
    head, *_, last = shown(Replay(BEFORE, AFTER, BEFORE, 2), dry_run=True)
    assert head == ["table", "reason", "before", "would", "be"]
    assert " ".join(last) == (
        "5 chosen: 1 accepted, 2 still refused, 2 not replayed: raw_events has deleted their lines; nothing was written"
    )


def test_without_rejections_there_is_nothing_to_show() -> None:
    assert shown(Replay({}, {}, {})) == [["rejected_events", "has", "no", "rows"]]


def test_a_table_that_nothing_lands_in_is_refused_by_name(settings: Settings) -> None:
    with pytest.raises(CommandError, match="--table labels: no table that events land in; accepted: ad_impressions, c"):
        replay(settings, Console(file=io.StringIO()), "labels", "", dry_run=True)


def test_without_a_server_it_is_said_in_one_line(settings: Settings) -> None:
    with pytest.raises(CommandError, match=r"no Spark Connect server at sc://127.0.0.1:25002 .*`make run` starts it"):
        replay(settings, Console(file=io.StringIO()), "", "", dry_run=True)
