"""Feature sets by name, and a file that is none."""

from datetime import UTC, datetime, timedelta, timezone

from data_contracts.features import training_set_id


def test_a_training_set_is_named_by_definitions_and_as_of_in_utc():
    as_of = datetime(2019, 12, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert training_set_id("0123456789abcdef" * 4, as_of) == "0123456789abcdef-20191130T233000Z"
    assert training_set_id("0123456789abcdef" * 4, as_of.astimezone(UTC)) == "0123456789abcdef-20191130T233000Z"
