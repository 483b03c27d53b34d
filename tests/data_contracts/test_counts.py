"""Counts by name, and what is none."""

import pytest

from data_contracts.counts import Count
from data_contracts.labels import DAY, HOUR


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
