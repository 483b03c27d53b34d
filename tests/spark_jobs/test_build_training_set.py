from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import lmdb
import numpy as np
import pytest

from data_contracts.feature_set_files import feature_set_path, load_feature_set
from data_contracts.features import DAY, Count, training_set_id
from data_contracts.landing import Event
from data_contracts.snapshot import META_KEY, SnapshotMeta, entity_key, snapshot_time, unpacked_counts
from data_contracts.tables import TRAINING_SETS
from spark_jobs import build_training_set, count_events, label_impressions, publish_counts
from spark_jobs.keyed import snapshot_at
from spark_jobs.labelled_rows import labelled_rows
from spark_jobs.refine_events import refine_batch
from spark_jobs.session import JobError
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
AS_OF = datetime(2026, 1, 12, tzinfo=UTC)
SMALL = load_feature_set(feature_set_path("tests/small_features.py"))


@pytest.fixture(scope="module")
def prepared(copied_lake, tmp_path_factory, landed):
    """Impressions 0 (clicked), 180 and 2,000 minutes after NOON; the last is not mature as of AS_OF."""
    lake = copied_lake(tmp_path_factory.mktemp("prepared"))
    features = replace(lake.settings.features, feature_set="tests/small_features.py")
    lake = replace(lake, settings=replace(lake.settings, features=features))
    shown = [
        Event("ad_impressions", NOON + timedelta(minutes=m), impression(m, position=None if m == 180 else 2))
        for m in (0, 180, 2000)
    ]
    refine_batch(lake, landed(*shown, Event("clicks", NOON + timedelta(minutes=1), click(0))))
    count_events.main(lake, AS_OF, Namespace(anew=False))
    label_impressions.main(lake, AS_OF, None)
    return lake


def built(lake):
    build_training_set.main(lake, AS_OF, None)
    return {row["impression_id"]: row for row in lake.read(TRAINING_SETS).collect()}


def test_only_mature_rows_enter_with_the_counts_that_serving_could_have_held(prepared):
    rows = built(prepared)
    assert sorted(rows) == ["impression-0", "impression-180"]
    first, later = rows["impression-0"], rows["impression-180"]
    assert (first["clicked"], later["clicked"]) == (1, 0)
    assert later["snapshot_at"].isoformat() == "2026-01-10T14:00:00"  # 15:00 was published at 15:15 only
    nothing, seen = (dict(zip(SMALL.feature_names, row["features"], strict=True)) for row in (first, later))
    assert (nothing["ad_log_impressions_7d"], nothing["user_log_impressions_7d"]) == (0, 0)
    once_clicked = np.float32((1 + 1) / (1 + 200))
    assert {seen[f"{who}_ctr_{span}"] for who in ("ad", "user") for span in ("1d", "7d")} == {once_clicked}
    assert seen["ad_position_log_impressions_7d"] == 0  # it was shown in another slot


def test_what_was_never_counted_is_not_taken_for_0(prepared, tmp_path):
    path = tmp_path / "new.py"
    path.write_text(
        "from data_contracts.features import DAY, Count\nCOUNTS = (Count(('campaign_id',), 'clicks', DAY),)\n\n\n"
        "def campaign(campaign_clicks_1d):\n    return campaign_clicks_1d\n"
    )
    features = replace(prepared.settings.features, feature_set=str(path))
    lake = replace(prepared, settings=replace(prepared.settings, features=features))
    with pytest.raises(JobError, match="campaign_id is not counted yet; run count_events first"):
        built(lake)
    count_events.main(lake, AS_OF, Namespace(anew=False))
    assert labelled_rows(lake, AS_OF, [load_feature_set(path)]).count() == 2


def test_a_row_without_position_is_taken_for_the_default_one_as_in_serving(prepared):
    features = dict(zip(SMALL.feature_names, built(prepared)["impression-180"]["features"], strict=True))
    assert features["position"] == prepared.settings.serving.default_position


def test_features_are_those_of_the_plain_functions_bit_for_bit(prepared):
    counts = dict.fromkeys(
        ("ad_impressions_1d", "ad_clicks_1d", "ad_impressions_7d", "ad_clicks_7d", "user_impressions_1d",
         "user_clicks_1d", "user_impressions_7d", "user_clicks_7d"), 1,
    )  # fmt: skip
    request = {"position": 1, "timestamp": (NOON + timedelta(minutes=180)).timestamp()}
    assert built(prepared)["impression-180"]["features"] == np.float32(SMALL.row(request | counts)).tolist()


def test_building_it_again_gives_the_same_rows(prepared):
    assert built(prepared) == built(prepared)
    assert {row["training_set_id"] for row in built(prepared).values()} == {training_set_id(SMALL.hash, AS_OF)}


def test_labels_that_are_not_made_as_of_then_stop_the_job(prepared):
    with pytest.raises(JobError, match="labels are not yet made as of 2026-01-13"):
        build_training_set.main(prepared, AS_OF + timedelta(days=1), None)


def test_the_snapshot_holds_the_same_counts_that_a_training_row_of_then_would(prepared):
    as_of = NOON + timedelta(hours=4)
    publish_counts.main(prepared, as_of, None)
    current = prepared.settings.snapshots / "current"
    with lmdb.open(str(current), subdir=False, readonly=True, lock=False) as environment, environment.begin() as view:
        meta = SnapshotMeta.unpacked(view.get(META_KEY))
        ad, slot = (
            unpacked_counts(view.get(entity_key(*key)))
            for key in (("ad_id", ["ad-1"]), ("ad_id|position", ["ad-1", "2"]))
        )
    assert (meta.as_of, meta.impressions, meta.clicks) == (int(as_of.timestamp()), 2, 1)
    assert dict(zip(meta.counts["ad_id"], ad, strict=True)) == {
        "ad_impressions_1d": 2, "ad_clicks_1d": 1, "ad_impressions_7d": 2, "ad_clicks_7d": 1, "ad_impressions_28d": 2,
    }  # fmt: skip
    assert slot == (1, 1, 1, 1)


def test_an_impression_without_position_counts_where_a_request_without_one_looks(prepared):
    publish_counts.main(prepared, NOON + timedelta(hours=4), None)
    current = prepared.settings.snapshots / "current"
    default = str(prepared.settings.serving.default_position)
    with lmdb.open(str(current), subdir=False, readonly=True, lock=False) as environment, environment.begin() as view:
        assert unpacked_counts(view.get(entity_key("ad_id|position", ["ad-1", default]))) == (1, 0, 1, 0)


def test_the_prior_is_made_of_the_longest_window_that_impressions_and_clicks_of_ads_share():
    clicks, week = Count(("ad_id",), "clicks", DAY), Count(("ad_id",), "impressions", 7 * DAY)
    day, other = Count(("ad_id",), "impressions", DAY), Count(("user_id",), "clicks", 7 * DAY)
    assert publish_counts._prior({("user_id",): [other], ("ad_id",): [clicks, week, day]}) == (day, clicks)
    assert publish_counts._prior({("ad_id",): [clicks, week]}) is None
    both = [Count((), event, DAY) for event in ("impressions", "clicks")]
    assert publish_counts._prior({("ad_id",): [clicks], (): both}) == tuple(both)


@pytest.mark.parametrize("microsecond", [-1, 0, 1])
def test_spark_and_python_agree_on_the_snapshot_at_the_edge_of_its_publishing(spark, microsecond):
    shown = NOON + timedelta(minutes=15, microseconds=microsecond)
    late, ahead = (shown, shown + timedelta(hours=5)), (shown + timedelta(hours=5), shown)
    rows = spark.createDataFrame([late, ahead], "timestamp TIMESTAMP, received_at TIMESTAMP")
    row, by_a_clock_ahead = rows.select(snapshot_at().alias("snapshot_at")).collect()
    assert row["snapshot_at"] == snapshot_time(shown.timestamp())
    assert by_a_clock_ahead == row
    assert row["snapshot_at"] == (NOON - timedelta(hours=1 if microsecond < 0 else 0)).timestamp()


def test_publishing_keeps_the_snapshot_in_use_and_the_one_before_and_never_goes_back(prepared):
    for hours in (5, 6, 7, 5):
        published = publish_counts.main(prepared, NOON + timedelta(hours=hours), None)
    assert published == "snapshot: already as of a later time"
    files = sorted(path.name for path in prepared.settings.snapshots.glob("*.lmdb"))
    assert files == [f"{int((NOON + timedelta(hours=hours)).timestamp())}.lmdb" for hours in (6, 7)]
    assert (prepared.settings.snapshots / "current").resolve().name == files[1]
