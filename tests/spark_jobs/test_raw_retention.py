from argparse import Namespace
from datetime import UTC, date, datetime, timedelta

import pytest

from data_contracts.landing import Event, LandingWriter
from data_contracts.tables import RAW_EVENTS
from spark_jobs import load_events, refine_events
from spark_jobs.raw_retention import expired_days
from tests.spark_jobs.conftest import NOON, impression

pytestmark = pytest.mark.spark
REFINE = Namespace(let_bad_batch_through=False)
TODAY, TOMORROW = date(2026, 1, 10), date(2026, 1, 11)
LATER = datetime(2026, 2, 11, tzinfo=UTC)
"""TOMORROW ends 30 days before it."""


def loaded(lake, *days):
    """An event a day of `days` after NOON, each in a segment of its own, in raw_events."""
    writer = LandingWriter(lake.settings.landing, "serving")
    for day in days:
        writer.append([Event("ad_impressions", NOON + timedelta(days=day), impression(day * 1440))])
        writer.seal()
    writer.close()
    load_events.main(lake, NOON, None)


def released(lake, *numbers):
    for number in numbers:
        (lake.settings.landing / f"serving-0/{number:020d}.jsonl").unlink()


def test_whole_days_before_the_retention_go_once_they_are_refined(lake):
    loaded(lake, 0, 1)
    released(lake, 1, 2)
    assert expired_days(lake, LATER) == []
    refine_events.main(lake, NOON, REFINE)
    assert expired_days(lake, LATER) == [TODAY, TOMORROW]
    assert expired_days(lake, LATER - timedelta(seconds=1)) == [TODAY]


def test_a_day_that_got_rows_since_the_last_refinement_stays(lake):
    loaded(lake, 0, 1)
    refine_events.main(lake, NOON, REFINE)
    loaded(lake, 1)
    released(lake, 1, 2, 3)
    lake.spark.sql(f"OPTIMIZE delta.`{lake.path(RAW_EVENTS)}`")
    assert expired_days(lake, LATER) == [TODAY]
    refine_events.main(lake, NOON, REFINE)
    assert expired_days(lake, LATER) == [TODAY, TOMORROW]


def test_a_day_stays_as_long_as_landing_holds_one_of_its_segments(lake):
    loaded(lake, 0, 0)
    refine_events.main(lake, NOON, REFINE)
    released(lake, 1)
    assert expired_days(lake, LATER) == []
    released(lake, 2)
    assert expired_days(lake, LATER) == [TODAY]
