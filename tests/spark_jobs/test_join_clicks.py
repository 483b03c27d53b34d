from datetime import UTC, date, datetime, timedelta

import pytest

from data_contracts.labels import DAY, ORPHAN_AFTER
from data_contracts.landing import Event
from data_contracts.tables import CLICK_JOINS
from spark_jobs.join_clicks import click_joins, main
from spark_jobs.refine_events import refine_batch
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
SHOWN = "impression_id STRING, timestamp TIMESTAMP, received_at TIMESTAMP"
CLICKED = "impression_id STRING, clicked BOOLEAN, timestamp TIMESTAMP, received_at TIMESTAMP, date DATE"
START = datetime(2026, 1, 10, tzinfo=UTC)
COUNTS = ("clicks", "joined", "waiting", "orphaned", "before_impression", "after_window")


def at(seconds):
    return START + timedelta(seconds=seconds)


def counted(spark, shown, clicked, as_of):
    """`shown`: (impression, shown at, known at); `clicked`: (impression, clicked, at, known at), in seconds."""
    impressions = spark.createDataFrame([(i, at(t), at(known)) for i, t, known in shown], SHOWN)
    clicks = [(i, is_click, at(t), at(known), at(t).date()) for i, is_click, t, known in clicked]
    found = click_joins(impressions, spark.createDataFrame(clicks, CLICKED), at(as_of)).collect()
    return {row["date"]: tuple(row[name] for name in COUNTS) for row in found}


def test_the_clicks_of_a_day_are_counted_by_how_they_stand_with_their_impressions(spark):
    shown = [("i1", 0, 0), ("i2", 100, 100), ("i3", 0, 0), ("not yet known", 0, 9 * DAY)]
    clicked = [
        ("i1", True, 10, 10),  # joined
        ("i1", True, 20, 20),  # a second click on the same impression is a click too
        ("i2", True, 99, 99),  # a second before its impression
        ("i3", True, DAY, DAY),  # the next day, as its window has just closed
        ("i1", False, 30, 30),  # a stated non-click
        ("none", True, 0, 0),  # waited for 8 days
        ("not yet known", True, DAY, 2 * DAY),
        ("i1", True, 40, 8 * DAY),  # not yet known
    ]
    assert counted(spark, shown, clicked, 8 * DAY) == {
        date(2026, 1, 10): (4, 3, 0, 1, 1, 0),
        date(2026, 1, 11): (2, 1, 1, 0, 0, 1),
    }


@pytest.mark.parametrize(("as_of", "waiting", "orphaned"), [(ORPHAN_AFTER, 1, 0), (ORPHAN_AFTER + 1, 0, 1)])
def test_a_click_is_an_orphan_once_it_has_waited_its_time_from_when_it_was_known(spark, as_of, waiting, orphaned):
    assert counted(spark, [], [("i", True, 0, 1)], as_of)[START.date()] == (1, 0, waiting, orphaned, 0, 0)


def test_an_orphan_joins_when_its_impression_does_come(spark):
    late = 30 * DAY
    assert counted(spark, [("i", 0, late)], [("i", True, 5, 5)], late)[START.date()] == (1, 0, 0, 1, 0, 0)
    assert counted(spark, [("i", 0, late)], [("i", True, 5, 5)], late + 1)[START.date()] == (1, 1, 0, 0, 0, 0)


def test_the_job_counts_again_what_came_late_and_never_goes_back_in_time(lake, landed):
    assert main(lake, NOON, None) == "clicks: 0 joined, 0 waiting, 0 orphaned"
    refine_batch(lake, landed(Event("clicks", NOON, click(0))))
    assert main(lake, NOON + timedelta(hours=1), None) == "clicks: 0 joined, 1 waiting, 0 orphaned"
    refine_batch(lake, landed(Event("ad_impressions", NOON, impression(0))))
    assert main(lake, NOON, None) == "clicks: 1 joined, 0 waiting, 0 orphaned"
    (row,) = lake.read(CLICK_JOINS).selectExpr("date", "unix_seconds(as_of) AS as_of", "clicks").collect()
    assert tuple(row) == (date(2026, 1, 10), (NOON + timedelta(hours=1)).timestamp(), 1)
