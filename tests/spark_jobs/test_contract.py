import pytest

from data_contracts.landing import Event
from data_contracts.tables import AD_IMPRESSIONS, ADS, CLICKS
from spark_jobs.contract import with_contract_columns
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark


def checked(landed, table, row):
    (found,) = with_contract_columns(landed(Event(table.name, NOON, row)), table).collect()
    return found


def test_a_whole_row_has_its_types_and_no_reason(landed):
    found = checked(landed, AD_IMPRESSIONS, impression(1, propensity=0.25, features={"slot": "top"}))
    assert found["reason"] is None
    assert (found["position"], found["propensity"], found["features"]) == (1, 0.25, {"slot": "top"})
    assert found["timestamp"].isoformat() == "2026-01-10T12:01:00"
    assert found["date"].isoformat() == "2026-01-10"


def test_what_a_row_does_not_state_gets_the_stated_category(landed):
    found = checked(landed, AD_IMPRESSIONS, impression(1))
    assert (found["device_type"], found["experiment"], found["consent"]) == ("unknown", "none", "unknown")
    assert (found["features"], found["propensity"]) == ({}, None)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"impression_id": None}, "impression_id: missing"),
        ({"timestamp": "yesterday"}, "timestamp: not a TIMESTAMP"),
        ({"position": "first"}, "position: not a INT"),
        ({"position": 0}, "position: below 1"),
        ({"propensity": 1.5}, "propensity: above 1"),
        ({"consent": "maybe"}, "consent: not one of granted, denied, unknown"),
        ({"ad_id": None, "position": 0}, "ad_id: missing; position: below 1"),
    ],
)
def test_a_broken_row_names_each_column_and_never_its_value(landed, columns, reason):
    assert checked(landed, AD_IMPRESSIONS, impression(1, **columns))["reason"] == reason


def test_a_stated_non_click_is_legal(landed):
    found = checked(landed, CLICKS, click(1, clicked=False))
    assert (found["reason"], found["clicked"]) == (None, False)


def test_a_row_of_an_ad_needs_no_time_of_its_own(landed):
    found = checked(landed, ADS, {"ad_id": "ad-1", "topic": "shoes"})
    assert (found["reason"], found["topic"], found["campaign_id"]) == (None, "shoes", "unknown")


@pytest.mark.parametrize(("minutes", "is_skewed"), [(-60, False), (5, False), (6, True)])
def test_a_row_whose_own_time_lies_well_after_it_was_received_is_flagged(landed, minutes, is_skewed):
    assert checked(landed, AD_IMPRESSIONS, impression(minutes))["is_clock_skewed"] is is_skewed
