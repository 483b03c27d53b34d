"""The instant a run is for."""

from datetime import UTC, datetime

from cli.pipeline import as_of


def test_a_run_looks_at_what_was_known_at_the_last_full_hour() -> None:
    assert as_of(datetime(2019, 11, 30, 23, 59, 59, tzinfo=UTC)) == "2019-11-30T23:00:00Z"
    assert as_of(datetime(2019, 12, 1, tzinfo=UTC)) == "2019-12-01T00:00:00Z"
