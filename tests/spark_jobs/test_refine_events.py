from argparse import Namespace
from datetime import timedelta

import pytest

from data_contracts.landing import Event, LandingWriter
from data_contracts.tables import AD_IMPRESSIONS, ADS, CLICKS, REJECTED_EVENTS
from spark_jobs import load_events
from spark_jobs.refine_events import main, refine_batch
from spark_jobs.rejections import SAME_ID
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
ARGUMENTS = Namespace(let_bad_batch_through=False)
FIRST = Event("ad_impressions", NOON, impression(1, ad_id="ad-1"), "first:1")
LATER = Event("ad_impressions", NOON + timedelta(seconds=5), impression(1, ad_id="ad-2"), "later:1")
AGAIN = Event("ad_impressions", NOON + timedelta(seconds=9), impression(1, ad_id="ad-1"), "again:1")


@pytest.fixture
def refine(lake, landed):
    def refine(*events):
        refine_batch(lake, landed(*events))

    return refine


def rows(lake, table, *columns):
    return sorted(tuple(row) for row in lake.read(table).select(*columns).collect())


@pytest.mark.parametrize("order", [(LATER, AGAIN, FIRST), (AGAIN, FIRST, LATER), (FIRST, LATER, AGAIN)])
def test_the_same_id_twice_gives_the_same_tables_in_any_order_of_arrival(lake, refine, order):
    for event in order:
        refine(event)
    assert rows(lake, AD_IMPRESSIONS, "ad_id", "origin") == [("ad-1", "first:1")]
    assert rows(lake, REJECTED_EVENTS, "table_name", "reason", "origin") == [("ad_impressions", SAME_ID, "later:1")]


def test_one_batch_and_a_batch_again_give_what_single_events_give(lake, refine):
    refine(LATER, AGAIN, FIRST, LATER)
    refine(LATER, AGAIN, FIRST, LATER)
    assert rows(lake, AD_IMPRESSIONS, "ad_id", "origin") == [("ad-1", "first:1")]
    assert rows(lake, REJECTED_EVENTS, "origin") == [("later:1",)]


def test_a_click_may_come_before_its_impression(lake, refine):
    refine(Event("clicks", NOON, click(1)))
    refine(Event("ad_impressions", NOON, impression(1)))
    assert rows(lake, CLICKS, "impression_id", "clicked") == [("impression-1", True)]


def test_a_malformed_line_is_rejected_with_reason_and_origin_and_the_good_lines_go_on(lake, refine):
    refine(
        Event("clicks", NOON, None, "log.csv:2", "expected 5 fields, found 2"),
        Event("clicks", NOON, click(1, timestamp="noon"), "log.csv:3"),
        Event("clicks", NOON, click(2), "log.csv:4"),
    )
    assert rows(lake, CLICKS, "click_id") == [("click-2",)]
    assert rows(lake, REJECTED_EVENTS, "origin", "reason") == [
        ("log.csv:2", "expected 5 fields, found 2"),
        ("log.csv:3", "timestamp: not a TIMESTAMP"),
    ]


def test_an_ad_told_again_later_keeps_both_rows(lake, refine):
    told = [Event("ads", NOON + timedelta(hours=hour), {"ad_id": "ad-1", "topic": f"t{hour}"}) for hour in (0, 1)]
    refine(*told)
    refine(told[0])
    assert rows(lake, ADS, "topic") == [("t0",), ("t1",)]


def test_a_conflict_at_one_time_stays_rejected_when_its_content_is_told_again_later(lake, refine):
    x, y = ({"ad_id": "ad-1", "topic": topic} for topic in ("x", "y"))
    events = [Event("ads", NOON, x, "x:1"), Event("ads", NOON, y, "y:1")]
    refine(*events)
    ((loser,),) = rows(lake, REJECTED_EVENTS, "origin")
    told_again = x if loser == "x:1" else y
    refine(*events, Event("ads", NOON + timedelta(hours=1), told_again, "again:1"))
    assert rows(lake, REJECTED_EVENTS, "origin", "reason") == [(loser, SAME_ID)]
    assert lake.read(ADS).count() == 2


def test_a_damaged_line_and_one_for_no_table_are_rejected_too(lake, landed, refine):
    refine(Event("clicks", NOON, click(1)), Event("klicks", NOON, click(2), "log.csv:9"))
    assert rows(lake, REJECTED_EVENTS, "table_name", "origin", "reason") == [
        ("unknown", "log.csv:9", "meant for no table of the contract")
    ]
    assert rows(lake, CLICKS, "click_id") == [("click-1",)]


def test_the_job_refines_what_was_loaded_since_its_last_run(lake):
    writer = LandingWriter(lake.settings.landing, "serving")
    for number in (1, 2):
        writer.append([Event("ad_impressions", NOON, impression(number))])
        writer.seal()
        load_events.main(lake, NOON, None)
        assert main(lake, NOON, ARGUMENTS) == "refined: ad_impressions +1"
    writer.close()
    assert main(lake, NOON, ARGUMENTS) == "refined: nothing new"
    assert rows(lake, AD_IMPRESSIONS, "impression_id") == [("impression-1",), ("impression-2",)]
