"""A batch with too many broken rows stops the job, says why, and leaves every table as it was."""

from argparse import Namespace
from dataclasses import replace

import pytest

from data_contracts.landing import Event, LandingWriter
from data_contracts.tables import AD_IMPRESSIONS, RAW_EVENTS, REJECTED_EVENTS
from spark_jobs import load_events, refine_events
from spark_jobs.session import JobError
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
STOP, LET_THROUGH = (Namespace(let_bad_batch_through=answer) for answer in (False, True))


@pytest.fixture
def strict(lake):
    """A lake that judges batches of ten rows and more."""
    return replace(lake, settings=replace(lake.settings, ingest=replace(lake.settings.ingest, least_batch_events=10)))


def loaded(lake, whole, broken):
    """raw_events holds so many rows that keep their contract, and so many that break it, one of them without a user."""
    changes = [{}] * whole + [{"position": 0}] * (broken - 1) + [{"user_id": None}]
    rows = [impression(number, **changed) for number, changed in enumerate(changes)]
    landed(lake, [Event("ad_impressions", NOON, row) for row in rows])


def landed(lake, events):
    writer = LandingWriter(lake.settings.landing, "test")
    writer.append(events)
    writer.close()
    load_events.main(lake, NOON, None)


def counts(lake):
    return [lake.count(table) for table in (RAW_EVENTS, AD_IMPRESSIONS, REJECTED_EVENTS)]


def test_too_many_broken_rows_stop_the_job_which_says_why_and_loses_nothing(strict):
    loaded(strict, whole=7, broken=3)
    with pytest.raises(JobError) as stopped:
        refine_events.main(strict, NOON, STOP)
    words = str(stopped.value)
    assert words.startswith("3 of 10 rows of this batch break their contract, more than 20%")
    assert "position: below 1 (2)" in words
    assert "user_id: missing" in words
    assert words.endswith("Mend the contract and run again, or let it through with --let-bad-batch-through")
    assert counts(strict) == [10, 0, 0]
    with pytest.raises(JobError):  # it is not taken for done
        refine_events.main(strict, NOON, STOP)
    refine_events.main(strict, NOON, LET_THROUGH)
    assert counts(strict) == [10, 7, 3]


def test_as_many_as_the_limit_are_rejected_and_the_rest_goes_on(strict):
    loaded(strict, whole=8, broken=2)
    refine_events.main(strict, NOON, STOP)
    assert counts(strict) == [10, 8, 2]


def test_a_batch_too_small_to_judge_goes_on(strict):
    loaded(strict, whole=1, broken=8)
    refine_events.main(strict, NOON, STOP)
    assert counts(strict) == [9, 1, 8]


def test_a_batch_is_judged_by_all_its_tables_together(strict):
    """Neither the impressions, nor the clicks, nor the lines for no table are too many by themselves."""
    rows = [Event("ad_impressions", NOON, impression(number)) for number in range(8)]
    rows += [Event("clicks", NOON, click(number, **({} if number else {"clicked": "maybe"}))) for number in range(5)]
    rows += [Event("elsewhere", NOON, {"number": number}) for number in range(3)]
    landed(strict, rows)
    with pytest.raises(JobError, match="4 of 16 rows of this batch break their contract"):
        refine_events.main(strict, NOON, STOP)
    assert counts(strict) == [16, 0, 0]


def test_what_several_tables_of_one_batch_reject_is_all_kept(strict):
    """They are refined side by side, and rejected_events is written by one at a time."""
    broken = {"ad_impressions": "impression_id", "clicks": "click_id", "ads": "ad_id", "users": "user_id"}
    rows = {"ad_impressions": impression(1), "clicks": click(1), "ads": {"ad_id": "a"}, "users": {"user_id": "u"}}
    landed(strict, [Event(table, NOON, {**rows[table], broken[table]: None}) for table in broken])
    refine_events.main(strict, NOON, LET_THROUGH)
    rejected = strict.read(REJECTED_EVENTS).select("table_name", "reason").collect()
    assert sorted(map(tuple, rejected)) == sorted((table, f"{key}: missing") for table, key in broken.items())
