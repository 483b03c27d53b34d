"""Reruns and backfills: for whatever as_ofs ingest_events runs, in whatever order, the tables end the same."""

import hashlib
from argparse import Namespace
from datetime import timedelta

import pytest

from data_contracts.landing import Event, LandingWriter
from data_contracts.tables import LANDED, REJECTED_EVENTS
from spark_jobs import load_events, refine_events
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
DAYS = [NOON + timedelta(days=day) for day in range(3)]


def events(day):
    """A day's events: a click whose impression comes a day later, the day before's impression again, another under its
    id, a broken row, an ad and a user told anew."""
    number = day * 1440
    return [
        Event("ad_impressions", DAYS[day], impression(number)),
        Event("ad_impressions", DAYS[day], impression(number - 1440)),
        Event("ad_impressions", DAYS[day] + timedelta(seconds=1), impression(number, ad_id="ad-2")),
        Event("clicks", DAYS[day], click(number + 1440)),
        Event("clicks", DAYS[day], click(number, timestamp="noon")),
        Event("ads", DAYS[day], {"ad_id": "ad-1", "topic": f"t{day}"}),
        Event("users", DAYS[day], {"user_id": "user-1", "consent": "granted"}),
    ]


def land(lake, *days):
    writer = LandingWriter(lake.settings.landing, "serving")
    for day in days:
        writer.append(events(day))
        writer.seal()
    writer.close()


def ingest(lake, *days):
    for day in days:
        load_events.main(lake, DAYS[day], None)
        refine_events.main(lake, DAYS[day], Namespace(let_bad_batch_through=True))


def content_hashes(lake):
    """SHA-256 of each table's sorted rows: no versions, no files, and not the line of the segment, which differs by
    what was landed first."""
    hashes = {}
    for table in (*LANDED.values(), REJECTED_EVENTS):
        columns = [column for column in table.column_names if column != "origin"]
        rows = sorted(str(tuple(row)) for row in lake.read(table).select(*columns).collect())
        hashes[table.name] = (len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())
    return hashes


def test_three_days_in_order_again_at_once_and_backwards_give_the_same_content(copied_lake, tmp_path):
    in_order = copied_lake(tmp_path / "in_order")
    for day in range(3):
        land(in_order, day)
        ingest(in_order, day)
    expected = content_hashes(in_order)
    assert {name: rows for name, (rows, _) in expected.items()} == {
        "ad_impressions": 4, "clicks": 3, "ads": 3, "users": 3, "model_predictions": 0, "shadow_predictions": 0,
        "rejected_events": 6,
    }  # fmt: skip
    ingest(in_order, 0, 1, 2)
    assert content_hashes(in_order) == expected
    backwards = copied_lake(tmp_path / "backwards")
    for day in (2, 1, 0):
        land(backwards, day)
        ingest(backwards, day)
    assert content_hashes(backwards) == expected
    at_once = copied_lake(tmp_path / "at_once")
    land(at_once, 1, 2, 0)
    ingest(at_once, 2, 0)
    assert content_hashes(at_once) == expected
