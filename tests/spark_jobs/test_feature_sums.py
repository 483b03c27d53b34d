"""Sums of features are those of each impression as serving could have had it, however the events arrived."""

import math
import re
from argparse import Namespace
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data_contracts.feature_set_files import FeatureSetError, load_feature_set
from data_contracts.features import DAY, HOUR, MILLION
from data_contracts.tables import FEATURE_SUMS, TRAINING_SETS
from spark_jobs import build_training_set, count_events, label_impressions
from spark_jobs.changes import source_versions
from spark_jobs.feature_sums import bring_up, sums_as_of
from spark_jobs.featurised import summed_up
from spark_jobs.refine_events import refine_batch
from spark_jobs.session import JobError
from tests.spark_jobs.arrivals import clicked, drawn_events, shown
from tests.spark_jobs.conftest import NOON, impression

pytestmark = pytest.mark.spark
AS_OF = NOON + timedelta(days=3)
FEATURES = """from data_contracts.features import DAY, HOUR, MILLION, Count, Sum
COUNTS = (
    Count((), "impressions", DAY), Count((), "clicks", DAY), Count(("ad.topic",), "impressions", DAY),
    Count(("user_id",), "clicks", DAY), Count(("ad_id",), "clicks", 2 * DAY),
)
NUMBERS = ("features.price",)
SUMS = (Sum("of_all", 2 * HOUR), Sum("of_each", DAY))
STEPS = ("of_all", "of_each")
def of_all(all_clicks_1d, all_impressions_1d): return (all_clicks_1d + 1.0) / (all_impressions_1d + 3.0)
def of_each(of_all, topic_impressions_1d, user_clicks_1d, ad_clicks_2d, price, position):
    return of_all * (1.0 + topic_impressions_1d + user_clicks_1d) / (7.0 + ad_clicks_2d) + price / position
def level(sum_of_all_2h, sum_of_each_1d): return (sum_of_all_2h + sum_of_each_1d) / MILLION
"""


@pytest.fixture
def summing(lake, tmp_path):
    """The lake, and a feature set that sums."""
    path = tmp_path / "mine.py"
    path.write_text(FEATURES)
    features = replace(lake.settings.features, feature_set=str(path))
    return replace(lake, settings=replace(lake.settings, features=features)), load_feature_set(path)


def counted(lake, anew=False):
    return count_events.main(lake, AS_OF, Namespace(anew=anew))


def totals(lake):
    rows = lake.read(FEATURE_SUMS).collect()
    return {(row["feature"], row["hour"]): row["total"] for row in rows}


def test_any_order_of_arrival_gives_the_sums_of_making_all_anew(summing, landed):
    lake, _ = summing
    events = [repriced(each, number % 3) for number, each in enumerate(drawn_events(seed=3))]
    events += [repriced(each, 7, earlier=1) for each in events if each.table == "ad_impressions"][:8]  # told otherwise
    for start in range(0, len(events), 30):
        refine_batch(lake, landed(*events[start : start + 30]), let_bad_batch_through=True)
        counted(lake)
    found = totals(lake)
    assert counted(lake, anew=True).endswith(" made")
    assert totals(lake) == found
    assert len(found) > 20


def repriced(event, price, earlier=0):
    """An impression with a price, known so many seconds earlier."""
    if event.table != "ad_impressions":
        return event
    row = event.row | {"features": {"price": str(price)}}
    return replace(event, row=row, received_at=event.received_at - timedelta(seconds=earlier))


def test_each_impression_counts_with_what_was_known_of_it(summing, landed):
    """The first two see nothing; the third, in the hour after next, sees both and the click."""
    lake, feature_set = summing
    events = [shown(0, features={"price": "0.5"}), clicked(0, after=3), shown(30), shown(130, features={"price": "x"})]
    refine_batch(lake, landed(*events))
    assert counted(lake).endswith(f"; sums of mine ({feature_set.hash[:16]}) made")
    noon, two = (int((NOON + timedelta(hours=hours)).timestamp()) for hours in (0, 2))
    names = feature_set.looked_up
    of_all, of_each = names["sum_of_all_2h"], names["sum_of_each_1d"]
    first = [1 / 3, 1 / 3 / 7 + 0.5]  # nothing was known; the second states no price: NaN, which adds nothing
    assert sums_as_of(lake, feature_set, noon) == {of_all: 0, of_each: 0}
    expected = {of_all: 2 * millionths(first[0]), of_each: millionths(first[1])}
    assert sums_as_of(lake, feature_set, noon + HOUR) == expected
    assert sums_as_of(lake, feature_set, two) == expected
    third = (1 + 1) / (2 + 3)
    assert sums_as_of(lake, feature_set, two + HOUR) == expected | {of_all: millionths(third)}
    assert sums_as_of(lake, feature_set, noon + DAY + HOUR) == {of_all: 0, of_each: 0}


def millionths(value):
    return round(float(np.float32(value)) * MILLION)


def test_what_came_is_added_and_earlier_hours_are_left_alone(summing, landed):
    lake, feature_set = summing
    refine_batch(lake, landed(shown(0), shown(200)))
    counted(lake)
    assert "sums" not in counted(lake)
    before = totals(lake)
    refine_batch(lake, landed(shown(210), clicked(0, after=205)))
    versions = source_versions(lake)
    counted(lake)
    after = totals(lake)
    changed = {hour for (feature, hour), total in after.items() if before.get((feature, hour)) != total}
    assert changed == {(NOON + timedelta(hours=3)).replace(tzinfo=None)}
    kept = lake.read(FEATURE_SUMS).where(f"impressions_version < {versions['ad_impressions']}")
    assert kept.count() == 2
    assert not bring_up(lake, feature_set, versions)


def test_sums_that_a_run_left_undone_are_made_by_the_next(summing, landed, monkeypatch):
    lake, feature_set = summing
    refine_batch(lake, landed(shown(0)))
    counted(lake)
    refine_batch(lake, landed(shown(70)))
    with monkeypatch.context() as patch:
        patch.setattr(count_events, "bring_up", lambda *_: False)
        counted(lake)
    left = totals(lake)
    assert sums_as_of(lake, feature_set, int(AS_OF.timestamp())) == {}  # left out, not 0
    assert re.search(r"are up to date; sums of mine \(\w{16}\) made$", counted(lake))
    assert len(totals(lake)) == 2 * len(left)


def test_rows_are_trained_on_the_sums_that_serving_could_have_held(summing, landed):
    lake, _ = summing
    refine_batch(lake, landed(shown(0, features={"price": "1"}), shown(130), shown(131)))
    counted(lake)
    label_impressions.main(lake, AS_OF, None)
    build_training_set.main(lake, AS_OF, Namespace())
    rows = {row["impression_id"]: row["features"] for row in lake.read(TRAINING_SETS).collect()}
    seen = (millionths(1 / 3) + millionths(1 / 3 / 7 + 1)) / MILLION
    assert rows[impression(0)["impression_id"]] == [0.0]
    assert rows[impression(130)["impression_id"]] == [np.float32(seen)]


def test_sums_that_were_never_made_are_not_taken_for_0(summing, landed):
    lake, feature_set = summing
    refine_batch(lake, landed(shown(0)))
    counted(lake)
    lake.spark.sql(f"DELETE FROM delta.`{lake.path(FEATURE_SUMS)}`")
    label_impressions.main(lake, AS_OF, None)
    with pytest.raises(JobError, match=f"the sums of feature set {feature_set.hash[:16]} are not made yet"):
        build_training_set.main(lake, AS_OF, Namespace())


def test_a_set_whose_sums_cannot_be_made_keeps_nothing_from_the_others(summing, landed):
    lake, _ = summing
    path = Path(lake.settings.features.feature_set)
    path.write_text(FEATURES.replace("/ (7.0 + ad_clicks_2d)", "/ ad_clicks_2d"))
    refine_batch(lake, landed(shown(0)))
    assert "key tuples counted from the beginning; sums of mine (" in (told := counted(lake))
    assert ") NOT made: " in told
    assert totals(lake) == {}


def test_values_that_are_none_or_beyond_measure_add_nothing(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FEATURES.replace("price / position", "price"))
    feature_set = load_feature_set(path)
    prices = [math.nan, math.inf, 2e6, -0.5]
    columns = {name: [0.0] * len(prices) for name in feature_set.summed.looked_up}
    rows = pa.table(columns | {"price": prices, "position": [1.0] * 4, "timestamp": [0] * 4, "known_in": [1, 1, 1, 2]})
    made = summed_up(feature_set, "known_in").of(rows).to_pydict()
    assert made["known_in"] == [1, 2]
    assert made["of_each"] == [0, millionths(1 / 3 / 7 - 0.5)]


def test_definitions_that_were_edited_meanwhile_are_not_summed_under_their_old_hash(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FEATURES)
    then = summed_up(load_feature_set(path), "known_in")
    path.write_text(FEATURES + "\n")
    with pytest.raises(FeatureSetError, match="has changed meanwhile"):
        then.of(pa.table({"known_in": [1]}))


def test_what_is_summed_may_need_no_count(summing, landed):
    lake, _ = summing
    path = Path(lake.settings.features.feature_set)
    path.write_text(
        FEATURES.replace('Sum("of_all", 2 * HOUR), Sum("of_each", DAY)', 'Sum("slot", DAY),')
        .split("def of_all")[0]
        .replace('STEPS = ("of_all", "of_each")', 'STEPS = ("slot",)')
        + "def slot(position): return position / 4.0\ndef level(sum_slot_1d): return sum_slot_1d\n"
    )
    refine_batch(lake, landed(shown(0), shown(30)))
    counted(lake)
    assert totals(lake) == {("slot", NOON.replace(tzinfo=None)): 500_000}
