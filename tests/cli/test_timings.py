"""The seconds of the stages of a run."""

import json

from cli.timings import record, timed, timings_path
from data_contracts.settings import Settings


def test_a_stage_done_again_replaces_its_figure_and_a_skipped_one_keeps_it(settings: Settings) -> None:
    record(settings, {"import": 4.126, "service spark": 14.0})
    record(settings, {"service spark": 13.0})
    assert json.loads(timings_path(settings).read_text()) == {"import": 4.13, "service spark": 13.0}


def test_timed_returns_what_was_done_and_how_long_it_took() -> None:
    result, seconds = timed(lambda: "done")
    assert result == "done"
    assert 0 <= seconds < 60
