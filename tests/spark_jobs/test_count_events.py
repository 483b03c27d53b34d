"""Tiles brought up to date are those that counting everything anew would give, whatever came in whichever order."""

import re
import time
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_contracts.tables import COUNT_TILES
from spark_jobs import count_events
from spark_jobs.refine_events import refine_batch
from spark_jobs.session import JobError
from tests.spark_jobs.arrivals import ad, clicked, drawn_events, shown, user
from tests.spark_jobs.conftest import NOON

pytestmark = pytest.mark.spark
AS_OF = datetime(2026, 1, 12, tzinfo=UTC)
FEATURES = """from data_contracts.features import DAY, Count
COUNTS = tuple(
    Count(keys, event, DAY)
    for keys in ((), ("ad_id",), ("features.site", "ad.topic"), ("user_id", "campaign_id"), ("user.features.band",))
    for event in ("impressions", "clicks")
)
def shown(all_impressions_1d):
    return all_impressions_1d
"""


@pytest.fixture
def features(lake, tmp_path):
    """The lake with a feature set of its own."""
    path = tmp_path / "mine.py"
    path.write_text(FEATURES)
    return replace(
        lake, settings=replace(lake.settings, features=replace(lake.settings.features, feature_set=str(path)))
    )


def counted(lake, anew=False):
    return count_events.main(lake, AS_OF, Namespace(anew=anew))


def tiles(lake):
    """What the tiles add up to, by keys, entity and hour."""
    rows = lake.read(COUNT_TILES).groupBy("keys", "entity", "hour").sum("impressions", "clicks").collect()
    return {tuple(row)[:3]: tuple(row)[3:] for row in rows if any(tuple(row)[3:])}


def test_a_second_run_adds_what_came_and_rewrites_nothing(features, landed):
    refine_batch(features, landed(shown(0, features={"site": "news"}), shown(70)))
    assert counted(features) == "count_tiles: 6 key tuples counted from the beginning"
    before = set(features.read(COUNT_TILES).inputFiles())
    refine_batch(features, landed(shown(80), clicked(0, after=75)))
    assert counted(features) == "count_tiles: 6 key tuples brought up to date"
    assert before < set(features.read(COUNT_TILES).inputFiles())
    noon, one = NOON.replace(tzinfo=None), (NOON + timedelta(hours=1)).replace(tzinfo=None)
    found = tiles(features)
    assert found["all", "", noon] == (1, 0)
    assert found["all", "", one] == (2, 1)
    assert found["features.site|ad.topic", "news|unknown", noon] == (1, 0)
    assert found["features.site|ad.topic", "news|unknown", one] == (0, 1)
    assert counted(features) == "count_tiles: 6 key tuples are up to date"


def test_late_words_of_a_catalogue_move_what_was_counted(features, landed):
    refine_batch(features, landed(shown(180, user_id="user-1"), ad(200), user(200, consent="granted")))
    counted(features)
    assert ("features.site|ad.topic", "|unknown", (NOON + timedelta(hours=3)).replace(tzinfo=None)) in tiles(features)
    refine_batch(features, landed(ad(10), user(10, consent="denied", features={"band": "old"})))
    counted(features)
    found = tiles(features)
    three = (NOON + timedelta(hours=3)).replace(tzinfo=None)
    assert found["features.site|ad.topic", "|cars", three] == (1, 0)
    assert ("features.site|ad.topic", "|unknown", three) not in found
    assert not [key for key in found if key[0] == "user_id|campaign_id"]
    counted(features, anew=True)
    assert tiles(features) == found


def test_the_time_zone_of_the_machine_changes_nothing(features, landed, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")  # there it is the next day from 15:00 UTC on
        time.tzset()
        refine_batch(features, landed(shown(0)))
        counted(features)
        refine_batch(features, landed(shown(660)))
        counted(features)
        refine_batch(features, landed(ad(500)))
        counted(features)
        added = tiles(features)
        counted(features, anew=True)
        assert tiles(features) == added
    time.tzset()
    found = {key[:2]: value for key, value in tiles(features).items() if key[0] == "features.site|ad.topic"}
    assert found == {
        ("features.site|ad.topic", "|unknown"): (1, 0),
        ("features.site|ad.topic", "|cars"): (1, 0),
    }


def test_an_impression_that_turns_out_to_be_another_is_counted_as_that(features, landed):
    refine_batch(features, landed(shown(70, late=5, ad_id="ad-2")))
    counted(features)
    refine_batch(features, landed(shown(70, late=0, ad_id="ad-3")))  # came later, was known earlier: it wins
    counted(features)
    one = (NOON + timedelta(hours=1)).replace(tzinfo=None)
    assert {key[1]: value for key, value in tiles(features).items() if key[0] == "ad_id"} == {"ad-3": (1, 0)}
    assert tiles(features)["ad_id", "ad-3", one] == (1, 0)


def test_any_order_of_arrival_gives_the_tiles_of_counting_everything_anew(features, landed):
    events = drawn_events(seed=1)
    for start in range(0, len(events), 24):
        refine_batch(features, landed(*events[start : start + 24]), let_bad_batch_through=True)
        counted(features)
    found = tiles(features)
    assert "from the beginning" in counted(features, anew=True)
    assert tiles(features) == found
    assert sum(value[1] for key, value in found.items() if key[0] == "all") > 0


def test_a_new_key_tuple_is_counted_from_the_beginning_and_the_others_go_on(features, landed):
    refine_batch(features, landed(shown(0)))
    counted(features)
    with Path(features.settings.features.feature_set).open("a") as file:
        file.write('COUNTS += (Count(("device_type",), "impressions", DAY),)\n')
    refine_batch(features, landed(shown(70)))
    assert counted(features) == (
        "count_tiles: 6 key tuples brought up to date; 1 key tuples counted from the beginning"
    )
    assert sum(value[0] for key, value in tiles(features).items() if key[0] == "device_type") == 2


def test_what_is_older_than_deleted_files_are_kept_is_counted_from_the_beginning(features, landed):
    refine_batch(features, landed(shown(0)))
    counted(features)
    refine_batch(features, landed(shown(70)))
    commit = sorted((features.settings.lake / "ad_impressions" / "_delta_log").glob("*.json"))[-1]
    long_ago = int((datetime.now(UTC) - timedelta(hours=168)).timestamp() * 1000)
    commit.write_text(re.sub(r'"timestamp":\d+', f'"timestamp":{long_ago}', commit.read_text(), count=1))
    for sums in commit.parent.glob(f".{commit.name}.crc"):
        sums.unlink()
    assert counted(features) == "count_tiles: 6 key tuples counted from the beginning"
    assert sum(value[0] for key, value in tiles(features).items() if key[0] == "all") == 2


def test_only_full_hours_are_asked_for(lake):
    with pytest.raises(JobError, match="not a full hour"):
        count_events.main(lake, NOON + timedelta(minutes=1), Namespace(anew=False))
