"""The job that compares: from landed records to the table, and a canary that ends by its calibration."""

import argparse
import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from data_contracts import registry
from data_contracts.lake import open_lake
from data_contracts.landing import Event, instant_text
from spark_jobs.compare_models import calibration_problem, main
from spark_jobs.comparisons import Arm
from spark_jobs.comparisons import compared as compared_arms
from spark_jobs.label_impressions import main as label
from spark_jobs.refine_events import refine_batch
from tests.conftest import free_port
from tests.data_contracts.conftest import verdict
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
HOUR = timedelta(hours=1)
SHOWN_AT = instant_text(NOON)
NONE = argparse.Namespace()
USERS = 120


def at(table, row):
    return Event(table, NOON, row)


def prediction(number, source, version, probability):
    one = {
        "ad_id": "ad-1",
        "impression_id": f"impression-{number}",
        "inputs": [1.0],
        "position": 1,
        "prediction_id": f"prediction-{number}",
        "probability": probability,
    }
    return {
        "counts_as_of": None,
        "experiment": "none",
        "feature_set_hash": "abc",
        "input_names": ["position"],
        "model_version": version,
        "predicted_at": SHOWN_AT,
        "request_id": f"request-{number}",
        "slate": [one],
        "source": source,
        "user_id": f"user-{number}",
        "variant": "none",
    }


def shadow(number, version, probability, served="1", served_probability=0.1):
    one = {
        "impression_id": f"impression-{number}",
        "prediction_id": f"prediction-{number}",
        "probability": probability,
        "served_probability": served_probability,
    }
    return {
        "feature_set_hash": "abc",
        "model_version": version,
        "predicted_at": SHOWN_AT,
        "request_id": f"request-{number}",
        "served_source": "model",
        "served_version": served,
        "slate": [one],
    }


def compared(lake, as_of):
    said = main(lake, as_of, NONE)
    rows = open_lake(lake.settings).sql("SELECT * FROM model_comparisons ORDER BY as_of, kind").to_arrow_table()
    return said, rows.to_pylist()


@pytest.fixture
def canary(lake, landed, store, add_version):
    """Version 3 is the canary beside champion 2: of 120 users each, all shown one ad, half clicked within the hour."""
    for champion in (None, "1", "2"):
        version = add_version()
        registry.record_verdict(lake.settings, version, verdict(version, champion))
        if version != "3":
            registry.promote(lake.settings, version)
    registry.start_canary(lake.settings, "3", 0.5)
    limits, clock = replace(lake.settings.canary, least_clicks=50), replace(lake.settings.clock, stated=SHOWN_AT)
    lake = replace(lake, settings=replace(lake.settings, canary=limits, clock=clock))

    def answered(probability):
        numbers = range(2 * USERS)
        told = [
            at("model_predictions", prediction(n, *(("canary", "3", probability) if n % 2 else ("model", "2", 0.5))))
            for n in numbers
        ]
        shown = [at("ad_impressions", impression(n, user_id=f"user-{n}", timestamp=SHOWN_AT)) for n in numbers]
        clicked = [at("clicks", click(n, timestamp=SHOWN_AT)) for n in numbers if n % 4 < 2]
        refine_batch(lake, landed(*told, *shown, *clicked))
        return lake

    return answered


def test_a_canary_that_promises_too_much_ends_and_says_why(canary):
    lake = canary(0.9)
    assert "by 0 and 0 clicks" in compared(lake, NOON + HOUR / 2)[0]
    assert registry.aliases(lake.settings)["canary"] == "3"  # no label is an hour old yet
    said, rows = compared(lake, NOON + 2 * HOUR)
    assert "version 3 is the canary no more: its calibration ratio is 1.80 times the champion's" in said
    assert "canary" not in registry.aliases(lake.settings)
    assert "1.80 times the champion's" in registry.version(lake.settings, "3").tags["rolled_back"]
    assert (rows[-1]["kind"], rows[-1]["clicks"], rows[-1]["served_clicks"]) == ("canary", 60, 60)
    assert rows[-1]["calibration_change_low"] > 1
    said, again = compared(lake, NOON + 2 * HOUR)
    assert said == "model_comparisons: 0 of shadows"
    assert again == rows  # what it ended by is still there


def test_a_canary_that_is_as_right_as_the_champion_stays(canary):
    lake = canary(0.52)
    said, rows = compared(lake, NOON + 2 * HOUR)
    assert said.endswith("version 3 stays the canary, by 60 and 60 clicks of its users and the champion's")
    assert registry.aliases(lake.settings)["canary"] == "3"
    assert abs(rows[-1]["calibration_change"] - 1.04) < 1e-9


def test_a_shadows_record_becomes_a_row_an_ad_and_a_comparison(lake, landed, store, add_version):
    rows = [at("shadow_predictions", shadow(n, "2", 0.2)) for n in range(4)]
    rows += [at("shadow_predictions", shadow(9, "2", 1.5))]
    shown = [at("ad_impressions", impression(n)) for n in range(4)]
    refine_batch(lake, landed(*rows, *shown, at("clicks", click(1))), let_bad_batch_through=True)
    as_of = NOON + 30 * HOUR
    label(lake, as_of, NONE)
    said, (found,) = compared(lake, as_of)
    assert said == "model_comparisons: 1 of shadows"
    assert (found["kind"], found["model_version"], found["served_version"], found["predictions"]) == (
        "shadow",
        "2",
        "1",
        4,
    )
    assert (found["impressions"], found["clicks"], found["score_ratio"]) == (4, 1, 2.0)
    assert abs(found["calibration_ratio"] - 0.8) < 1e-9
    (refused,) = open_lake(lake.settings).sql("SELECT reason FROM rejected_events").fetchall()
    assert refused[0].startswith("probability: ")
    assert json.dumps(compared(lake, as_of)[1], default=str) == json.dumps([found], default=str)


def test_while_mlflow_is_away_shadows_are_compared_all_the_same(lake, landed, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    refine_batch(lake, landed(at("shadow_predictions", shadow(1, "2", 0.2))))
    said, (found,) = compared(lake, NOON + HOUR)
    assert said.startswith("model_comparisons: 1 of shadows; no canary, for MLflow does not answer")
    assert (found["predictions"], found["impressions"]) == (1, 0)


@pytest.mark.parametrize(
    ("change", "low", "high", "clicks", "ends"),
    [
        (1.2, 1.1, 1.31, 100, True),
        (0.8, 0.72, 0.89, 100, True),
        (1.2, 1.05, 1.37, 100, False),  # by chance, as one of many looks finds it
        (1.08, 1.05, 1.11, 100, False),  # little
        (1.2, 1.1, 1.31, 99, False),
        (None, None, None, 100, False),
    ],
)
def test_calibration_ends_a_canary_where_it_is_off_for_certain(settings, change, low, high, clicks, ends):
    found = {
        "calibration_change": change,
        "calibration_change_low": low,
        "calibration_change_high": high,
        "clicks": clicks,
        "served_clicks": 1000,
    }
    assert bool(calibration_problem(found, settings.canary)) is ends


@pytest.mark.parametrize(("factor", "least", "most"), [(1.0, 0, 0.03), (1.3, 0.9, 1)])
def test_looks_of_a_week_seldom_end_a_canary_that_is_right_and_nearly_always_one_that_is_off(
    settings, factor, least, most
):
    random, ended, weeks = np.random.default_rng(7), 0, 200
    for _ in range(weeks):
        own, other = (np.cumsum(random.poisson(rate, 168)) for rate in (20, 380))
        ended += any(
            calibration_problem(looked(factor * 20 * hour, 380 * hour, *clicks), settings.canary)
            for hour, clicks in enumerate(zip(own.tolist(), other.tolist(), strict=True), 1)
        )
    assert least <= ended / weeks <= most


def looked(expected, served_expected, clicks, served_clicks):
    """What is found where clicks are independent."""
    arms = (
        Arm(1, clicks, expected, 0.0, 1 / max(clicks, 1)),
        Arm(1, served_clicks, served_expected, 0.0, 1 / served_clicks),
    )
    return compared_arms("canary", NOON, {"since": 0}, *arms)
