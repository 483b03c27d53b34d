"""Counts by name, and the snapshot a moment could have seen."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.features import DAY, HOUR, Count, training_set_id
from data_contracts.snapshot import PUBLISH_DELAY, snapshot_time


@pytest.mark.parametrize(
    ("keys", "event", "window", "name"),
    [
        (("ad_id",), "clicks", 7 * DAY, "ad_clicks_7d"),
        (("ad_id", "device_type"), "impressions", DAY, "ad_device_type_impressions_1d"),
        (("ad_id", "position"), "impressions", HOUR, "ad_position_impressions_1h"),
        (("user_id",), "clicks", 36 * HOUR, "user_clicks_36h"),
        (("user_id",), "clicks", 24 * HOUR, "user_clicks_1d"),
        (("user_id", "ad.topic"), "clicks", DAY, "user_topic_clicks_1d"),
        (("features.section", "user.features.age_band"), "clicks", DAY, "section_age_band_clicks_1d"),
        ((), "impressions", 6 * HOUR, "all_impressions_6h"),
    ],
)
def test_the_name_of_a_count_is_computed_from_it(keys, event, window, name):
    assert Count(keys, event, window).name == name


@pytest.mark.parametrize(
    ("keys", "window", "words"),
    [
        (("ad_id",), 0, "a window of whole hours, not 0 s"),
        (("ad_id",), -DAY, "a window of whole hours"),
        (("ad_id",), HOUR + 1, "a window of whole hours"),
        (("ad_id", "ad_id"), DAY, "each key once"),
        (("ad_id", "user_id"), DAY, "user_id comes first"),
        (("no_such",), DAY, "no_such is no key"),
    ],
)
def test_a_count_without_whole_hours_or_of_no_keys_is_refused(keys, window, words):
    with pytest.raises(ValueError, match=words):
        Count(keys, "clicks", window)


TEN = 10 * HOUR


@pytest.mark.parametrize(
    ("event_time", "as_of"),
    [
        pytest.param(TEN + 900, TEN, id="published just now"),
        pytest.param(TEN + 899, 9 * HOUR, id="one second before it is published"),
        pytest.param(TEN + 899.999999, 9 * HOUR, id="one microsecond before it is published"),
        pytest.param(TEN, 9 * HOUR, id="on the hour"),
        pytest.param(TEN + 3599, TEN, id="end of the hour"),
        pytest.param(11 * HOUR + 899, TEN, id="the next one is not out yet"),
    ],
)
def test_serving_holds_a_snapshot_a_quarter_of_an_hour_after_its_as_of(event_time, as_of):
    assert snapshot_time(event_time) == as_of


@given(st.integers(0, 4_000_000_000))
def test_a_snapshot_is_a_full_hour_already_published_and_the_newest_such(event_time):
    as_of = snapshot_time(event_time)
    assert as_of % HOUR == 0
    assert as_of + PUBLISH_DELAY <= event_time < as_of + HOUR + PUBLISH_DELAY


def test_a_training_set_is_named_by_definitions_and_as_of_in_utc():
    as_of = datetime(2019, 12, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert training_set_id("0123456789abcdef" * 4, as_of) == "0123456789abcdef-20191130T233000Z"
    assert training_set_id("0123456789abcdef" * 4, as_of.astimezone(UTC)) == "0123456789abcdef-20191130T233000Z"
