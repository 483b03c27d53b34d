from argparse import Namespace
from dataclasses import replace
from datetime import timedelta

import pytest

from data_contracts.landing import Event
from data_contracts.tables import AD_IMPRESSIONS, ADS, CONTRACT_VERSION, LANDED, RAW_EVENTS, REJECTED_EVENTS
from spark_jobs import rejections as rejecting
from spark_jobs import replay_rejected
from spark_jobs.refine_events import refine_batch
from spark_jobs.rejections import SAME_ID
from spark_jobs.replay_rejected import main, replayed
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
TOO_LOW, TOO_LIKELY = "position: above 2", "propensity: above 1"


def shown(number, minutes=0, **columns):
    at = NOON + timedelta(minutes=minutes)
    return Event("ad_impressions", at, impression(number, **columns), f"log.csv:{number}")


@pytest.fixture
def loaded(lake, landed):
    """Puts events into raw_events, and through the refinement."""

    def loaded(*events):
        rows = landed(*events)
        rows.write.format("delta").mode("append").save(lake.path(RAW_EVENTS))
        refine_batch(lake, rows)

    return loaded


@pytest.fixture
def narrow(monkeypatch):
    """The contract as it was once: no impression below the second slot, and no table `users`. The test ends it."""
    columns = [replace(c, maximum=2) if c.name == "position" else c for c in AD_IMPRESSIONS.columns]
    with monkeypatch.context() as patch:
        patch.setitem(LANDED, "ad_impressions", replace(AD_IMPRESSIONS, columns=tuple(columns)))
        patch.delitem(LANDED, "users")
        patch.setattr(rejecting, "CONTRACT_VERSION", "1")
        yield patch


def rejections(lake):
    columns = ("table_name", "origin", "reason", "contract_version")
    return sorted(tuple(row) for row in lake.read(REJECTED_EVENTS).select(*columns).collect())


def impressions(lake):
    return sorted(row["impression_id"] for row in lake.read(AD_IMPRESSIONS).collect())


def test_what_the_contract_now_accepts_is_in_its_table_and_no_longer_rejected(lake, loaded, narrow):
    loaded(shown(1, position=5), shown(2))
    assert rejections(lake) == [("ad_impressions", "log.csv:1", TOO_LOW, "1")]
    narrow.undo()
    done = replayed(lake)
    assert (done.before, done.after, done.gone) == ({("ad_impressions", TOO_LOW): 1}, {}, 0)
    assert impressions(lake) == ["impression-1", "impression-2"]
    assert replayed(lake).before == {}


def test_what_is_still_refused_gets_its_present_reason_and_contract_version(lake, loaded, narrow):
    loaded(shown(1, position=5, propensity=2), shown(2, propensity=2))
    narrow.undo()
    replayed(lake)
    now = [("ad_impressions", f"log.csv:{number}", TOO_LIKELY, CONTRACT_VERSION) for number in (1, 2)]
    assert rejections(lake) == now
    replayed(lake)
    assert rejections(lake) == now


def test_a_row_that_is_accepted_but_whose_id_another_holds_is_a_conflict_then(lake, loaded, narrow):
    loaded(shown(1, position=1), shown(1, minutes=1, position=5))
    narrow.undo()
    assert replayed(lake).after == {("ad_impressions", SAME_ID): 1}
    assert impressions(lake) == ["impression-1"]
    again = replayed(lake, reason=SAME_ID)
    assert (again.after, again.asked) == ({("ad_impressions", SAME_ID): 1}, {})


def test_an_earlier_row_of_an_id_wins_it_however_late_it_is_replayed(lake, loaded, narrow):
    loaded(shown(1, position=5), shown(1, minutes=1, position=1))
    narrow.undo()
    assert replayed(lake).after == {("ad_impressions", SAME_ID): 1}
    assert [row["position"] for row in lake.read(AD_IMPRESSIONS).collect()] == [5]


def test_a_dry_run_says_the_same_and_writes_nothing(lake, loaded, narrow):
    loaded(shown(1, position=5), shown(2, position=5, propensity=2), shown(3, position=1, propensity=2))
    narrow.undo()
    before = rejections(lake)
    said = replayed(lake, dry_run=True)
    assert (rejections(lake), impressions(lake)) == (before, [])
    assert said == replayed(lake)
    assert said.after == {("ad_impressions", TOO_LIKELY): 2}
    arguments = Namespace(table="", reason="", dry_run=True)
    assert main(lake, NOON, arguments) == "rejected_events: 0 of 2 chosen would be taken back"


def test_table_and_reason_choose(lake, loaded, narrow):
    bad_click = Event("clicks", NOON, click(1, timestamp="noon"), "log.csv:9")
    loaded(shown(1, position=5), shown(2, position=5, user_id=None), bad_click)
    narrow.undo()
    before = rejections(lake)
    assert replayed(lake, table="clicks").asked == {("clicks", "timestamp: not a TIMESTAMP"): 1}
    assert replayed(lake, reason="100%").asked == {}
    assert [row[:3] for row in rejections(lake)] == [row[:3] for row in before]
    replayed(lake, table="ad_impressions", reason="user_id: missing")
    assert [row[2] for row in rejections(lake)] == [TOO_LOW, "user_id: missing", "timestamp: not a TIMESTAMP"]
    assert impressions(lake) == []


def test_a_row_whose_line_is_deleted_is_counted_as_gone_and_stays_rejected(lake, loaded, narrow):
    loaded(shown(1, position=5), shown(2, position=5))
    narrow.undo()
    lake.spark.sql(f"DELETE FROM delta.`{lake.path(RAW_EVENTS)}` WHERE origin = 'log.csv:1'")
    done = replayed(lake)
    assert (done.gone, done.after) == (1, {("ad_impressions", TOO_LOW): 1})
    assert impressions(lake) == ["impression-2"]


def test_a_replay_cut_short_before_it_takes_rejections_back_is_finished_by_the_next(lake, loaded, narrow, monkeypatch):
    loaded(shown(1, position=5), shown(2, position=5, propensity=2))
    narrow.undo()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(replay_rejected, "_take_back", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        replayed(lake)
    assert impressions(lake) == ["impression-1"]
    assert len(rejections(lake)) == 3
    replayed(lake)
    assert rejections(lake) == [("ad_impressions", "log.csv:2", TOO_LIKELY, CONTRACT_VERSION)]


def test_lines_of_a_table_that_the_contract_did_not_have_are_refined_into_it(lake, loaded, narrow):
    loaded(Event("users", NOON, {"user_id": "user-1"}, "users.csv:2"), Event("klicks", NOON, click(1), "log.csv:1"))
    assert [row[:2] for row in rejections(lake)] == [("unknown", "log.csv:1"), ("unknown", "users.csv:2")]
    narrow.undo()
    assert replayed(lake).after == {("unknown", "meant for no table of the contract"): 1}
    assert lake.read(LANDED["users"]).count() == 1


def test_each_time_an_ad_was_told_is_replayed_for_itself(lake, loaded, monkeypatch):
    topic = next(column for column in ADS.columns if column.name == "topic")
    columns = [replace(topic, allowed=("shoes",)) if c is topic else c for c in ADS.columns]
    told = [Event("ads", NOON + timedelta(hours=h), {"ad_id": "ad-1", "topic": "hats"}, f"ads:{h}") for h in (0, 1)]
    with monkeypatch.context() as patch:
        patch.setitem(LANDED, "ads", replace(ADS, columns=tuple(columns)))
        loaded(*told)
    lake.spark.sql(f"DELETE FROM delta.`{lake.path(RAW_EVENTS)}` WHERE origin = 'ads:0'")
    assert len(rejections(lake)) == 2
    done = replayed(lake)
    assert (done.gone, list(done.after.values())) == (1, [1])
    assert [row["origin"] for row in lake.read(ADS).collect()] == ["ads:1"]
