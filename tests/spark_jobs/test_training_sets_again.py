"""A training set is made from what was known then, whatever came later; its features from what was known before."""

import random
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from data_contracts.landing import Event
from data_contracts.tables import AD_IMPRESSIONS, CLICKS, COUNT_TILES, LABELS, TRAINING_SETS
from spark_jobs import build_training_set, count_events, label_impressions
from spark_jobs.refine_events import refine_batch
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
AS_OF = datetime(2026, 1, 14, tzinfo=UTC)
CUT = 30 * 60
"""Minutes after NOON: what becomes known from then on is the future of the rows before."""


@pytest.fixture
def small(lake):
    features = replace(lake.settings.features, feature_set="tests/small_features.py")
    return replace(lake, settings=replace(lake.settings, features=features))


ADS, USERS = ("ad-1", "ad-2", "ad-3"), ("user-1", "user-2", "user-3")


def shown(minute, ad, user, slot):
    row = impression(minute, ad_id=ad, user_id=user, position=slot)
    return Event("ad_impressions", NOON + timedelta(minutes=minute), row)


def clicked(minute, known_after):
    return Event("clicks", NOON + timedelta(minutes=minute + known_after), click(minute))


def market(seed):
    """Impressions of 60 hours, a third of them clicked, known within minutes or hours."""
    drawn = random.Random(seed)
    minutes = sorted(drawn.sample(range(60 * 60), 80))
    impressions = [(m, drawn.choice(ADS), drawn.choice(USERS), drawn.randint(1, 2)) for m in minutes]
    clicks = [(m, drawn.choice([1, 5, 200])) for m in minutes if drawn.random() < 0.35]
    return impressions, clicks


def built(lake, landed, impressions, clicks):
    events = [*(shown(*each) for each in impressions), *(clicked(*each) for each in clicks)]
    refine_batch(lake, landed(*events))
    return rebuilt(lake, AS_OF)


def rebuilt(lake, labels_as_of):
    """The rows of AS_OF's training set, by impression."""
    count_events.main(lake, labels_as_of, Namespace(anew=False))
    label_impressions.main(lake, labels_as_of, None)
    build_training_set.main(lake, AS_OF, None)
    return {row["impression_id"]: row for row in lake.read(TRAINING_SETS).collect()}


def test_it_is_the_same_when_built_again_after_more_has_come_and_old_files_are_gone(small, landed):
    impressions, clicks = market(1)
    before = built(small, landed, impressions, clicks)
    assert len(before) > 50
    assert sum(row["clicked"] for row in before.values()) > 10
    late = int((AS_OF - NOON).total_seconds() // 60)
    refine_batch(
        small,
        landed(
            *(shown(late + m, ad, user, slot) for m, ad, user, slot in impressions[:20]),
            *(clicked(late + m, 1) for m, *_ in impressions[:10]),
            *(clicked(m, late) for m, *_ in impressions if (m, 1) not in clicks),  # far too late for a label
        ),
    )
    assert rebuilt(small, AS_OF + timedelta(days=3)) == before
    small.spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    for table in (AD_IMPRESSIONS, CLICKS, COUNT_TILES, LABELS, TRAINING_SETS):
        small.spark.sql(f"VACUUM delta.`{small.path(table)}` RETAIN 0 HOURS")
    assert rebuilt(small, AS_OF + timedelta(days=3)) == before


def test_what_happens_later_changes_no_features_of_a_row(small, copied_lake, landed, tmp_path_factory):
    """The future is dealt out anew: other ads, users and slots, and its clicks go to other impressions."""
    impressions, clicks = market(2)
    future = [each for each in impressions if each[0] >= CUT]
    others = [each[1:] for each in future]
    random.Random(3).shuffle(others)
    dealt = [(minute, *other) for (minute, *_), other in zip(future, others, strict=True)]
    known = [each for each in clicks if sum(each) < CUT]
    moved = [(minute, 5) for minute, *_ in future[::2]]
    elsewhere = copied_lake(tmp_path_factory.mktemp("elsewhere"))
    other = replace(elsewhere, settings=replace(small.settings, home=elsewhere.settings.home))
    plain = built(small, landed, impressions, clicks)
    shuffled = built(other, landed, [*impressions[: -len(future)], *dealt], [*known, *moved])
    past = [f"impression-{minute}" for minute, *_ in impressions if minute < CUT]
    assert len(past) > 20
    assert {name: plain[name]["features"] for name in past} == {name: shuffled[name]["features"] for name in past}
    assert plain.keys() == shuffled.keys()
    assert any(plain[name]["features"] != shuffled[name]["features"] for name in plain.keys() - set(past))
