"""The holdout of a challenger and a champion, made from the tables."""

from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from data_contracts.feature_set_files import load_feature_set
from data_contracts.features import holdout_id, training_set_id
from data_contracts.known_features import keep
from data_contracts.landing import Event, instant_text
from data_contracts.tables import HOLDOUTS
from spark_jobs import build_holdout, count_events, label_impressions
from spark_jobs.refine_events import refine_batch
from spark_jobs.session import JobError
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
AS_OF = datetime(2026, 1, 12, tzinfo=UTC)
HEAD = """from data_contracts.features import DAY, HOUR, Count, Sum
COUNTS = (Count((), 'impressions', DAY), Count(({key!r},), {event!r}, DAY))
SUMS = (Sum('score', 6 * HOUR),)
def level(sum_score_6h):
    return sum_score_6h
"""
OURS = HEAD.format(key="ad_id", event="clicks") + "def score(ad_clicks_1d):\n    return ad_clicks_1d + 1.0\n"
THEIRS = HEAD.format(key="features.site", event="impressions") + (
    "NUMBERS = ('features.bid',)\ndef score(site_impressions_1d):\n    return site_impressions_1d + 5.0\n"
    "def shown(site_impressions_1d, bid):\n    return site_impressions_1d * bid\n"
)


@pytest.fixture
def judged(lake, landed, store, tmp_path):
    """A lake of three impressions, and versions 1 (champion) and 2 (challenger) of two feature sets."""
    sets = {}
    for name, text in (("ours", OURS), ("theirs", THEIRS)):
        (tmp_path / f"{name}.py").write_text(text)
        sets[name] = load_feature_set(tmp_path / f"{name}.py")
    features = replace(lake.settings.features, feature_set=str(tmp_path / "ours.py"))
    lake = replace(lake, settings=replace(lake.settings, features=features))
    for feature_set in sets.values():
        keep(lake.settings, feature_set)
    store.create_registered_model("ad_ctr")
    window = {"holdout_start": NOON.isoformat(), "holdout_end": (NOON + timedelta(minutes=300)).isoformat()}
    for alias, name in (("champion", "theirs"), ("challenger", "ours")):
        tags = {"feature_set_hash": sets[name].hash, "as_of": AS_OF.isoformat(), **window}
        tags["training_set_id"] = training_set_id(sets[name].hash, AS_OF)
        run = store.create_run(store.get_experiment_by_name("ad_ctr").experiment_id)
        version = store.create_model_version("ad_ctr", "runs:/none", run.info.run_id, tags=tags)
        store.set_registered_model_alias("ad_ctr", alias, str(version.version))
    shown = [
        Event("ad_impressions", NOON + timedelta(minutes=m), impression(m, features={"site": "news", **more}))
        for m, more in ((0, {}), (180, {"bid": "2.5"}), (300, {}))
    ]
    refine_batch(lake, landed(*shown, Event("clicks", NOON + timedelta(minutes=1), click(0))))
    count_events.main(lake, AS_OF, Namespace(anew=False))
    label_impressions.main(lake, AS_OF, None)
    return lake, sets


def test_the_rows_of_the_window_have_the_inputs_of_both_models_and_of_the_gate(judged):
    lake, sets = judged
    name = holdout_id(training_set_id(sets["ours"].hash, AS_OF), sets["theirs"].hash)
    assert build_holdout.main(lake, AS_OF, Namespace(version=None)) == f"holdout {name}: 2 rows"
    first, later = lake.read(HOLDOUTS).orderBy("timestamp").collect()
    shown_at = {"position": 1.0, "timestamp": NOON.timestamp()}
    ours, theirs = (f"sum_score_6h_{sets[who].hash[:16]}" for who in ("ours", "theirs"))
    counts = ("ad_clicks_1d", "site_impressions_1d", "all_impressions_1d", "ad_impressions_28d", "user_impressions_28d")
    assert (first["clicked"], first["inputs"]) == (1, shown_at | dict.fromkeys((*counts, ours, theirs), 0))
    assert (later["clicked"], later["inputs"]) == (
        0,
        {
            "position": 1.0, "timestamp": NOON.timestamp() + 10_800, "bid": 2.5, **dict.fromkeys(counts, 1),
            ours: 1_000_000, theirs: 5_000_000,
        },
    )  # fmt: skip
    assert later["snapshot_at"].isoformat() == "2026-01-10T14:00:00"
    assert instant_text(later["as_of"].replace(tzinfo=UTC)) == instant_text(AS_OF)


def test_of_a_champion_that_is_not_known_here_nothing_is_made(judged, store, capsys):
    lake, _ = judged
    store.set_model_version_tag("ad_ctr", "1", "feature_set_hash", "elsewhere")
    build_holdout.main(lake, AS_OF, Namespace(version=None))
    assert "the feature set of version 1 is not known here" in capsys.readouterr().out
    assert {"site_impressions_1d", "bid"}.isdisjoint(lake.read(HOLDOUTS).first()["inputs"])


def test_another_as_of_than_the_challengers_is_refused(judged):
    lake, _ = judged
    with pytest.raises(JobError, match="no challenger was trained as of 2026-01-13"):
        build_holdout.main(lake, AS_OF + timedelta(days=1), Namespace(version=None))
