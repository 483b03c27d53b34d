"""A slate is landed as one row and is a row of model_predictions an ad."""

import json

import pytest
from pyspark.sql import functions as F

from data_contracts.landing import Event
from data_contracts.tables import MODEL_PREDICTIONS
from spark_jobs.contract import with_contract_columns
from spark_jobs.slates import TORN
from tests.spark_jobs.conftest import NOON

pytestmark = pytest.mark.spark

SHARED = {
    "counts_as_of": "2026-01-10T12:00:00.000000Z", "experiment": "none", "feature_set_hash": "abc",
    "model_version": "7", "predicted_at": "2026-01-10T12:30:00.000000Z", "request_id": "r", "source": "model",
    "user_id": "u", "variant": "none",
}  # fmt: skip


def ad(number, inputs, **more):
    return {
        "ad_id": f"ad-{number}", "impression_id": f"i-{number}", "inputs": inputs, "position": number,
        "prediction_id": f"p-{number}", "probability": number / 8, **more,
    }  # fmt: skip


def told(landed, *rows):
    found = with_contract_columns(
        landed(*(Event(MODEL_PREDICTIONS.name, NOON, row) for row in rows)), MODEL_PREDICTIONS
    )
    return found.orderBy("prediction_id").collect()


def test_each_ad_of_a_slate_is_a_row_with_what_all_share(landed):
    names = ["position", "price", "ad_clicks_1d"]
    slate = [ad(1, [1.0, 2.5, 3]), ad(2, [2.0, None, 4])]
    first, second = told(landed, {**SHARED, "input_names": names, "slate": slate})
    assert (first["reason"], second["reason"]) == (None, None)
    assert [(row["prediction_id"], row["impression_id"], row["ad_id"]) for row in (first, second)] == [
        ("p-1", "i-1", "ad-1"),
        ("p-2", "i-2", "ad-2"),
    ]
    assert [(row["position"], row["probability"]) for row in (first, second)] == [(1, 0.125), (2, 0.25)]
    assert first["features"] == {"position": 1.0, "price": 2.5, "ad_clicks_1d": 3.0}
    assert second["features"] == {"position": 2.0, "ad_clicks_1d": 4.0}
    for row in (first, second):
        assert (row["request_id"], row["user_id"], row["model_version"], row["source"]) == ("r", "u", "7", "model")
        assert row["predicted_at"].isoformat() == "2026-01-10T12:30:00"
    assert first["content_hash"] == second["content_hash"]
    assert first["id_hash"] != second["id_hash"]


def test_inputs_that_all_ads_share_are_features_of_each(landed):
    row = {**SHARED, "features": {"timestamp": 7.5}, "input_names": ["a"], "slate": [ad(1, [1.0]), ad(2, [None])]}
    first, second = told(landed, row)
    assert (first["reason"], second["reason"]) == (None, None)
    assert first["features"] == {"timestamp": 7.5, "a": 1.0}
    assert second["features"] == {"timestamp": 7.5}


def test_an_input_that_is_shared_and_each_ads_own_is_refused(landed):
    (found,) = told(landed, {**SHARED, "features": {"a": 2.0}, "input_names": ["a"], "slate": [ad(1, [1.0])]})
    assert found["reason"] == TORN


def test_a_shared_input_that_is_null_is_left_out_and_one_told_twice_refused(landed):
    row = {**SHARED, "features": {"b": None, "c": 2.0}, "input_names": ["a"], "slate": [ad(1, [1.0])]}
    (found,) = told(landed, row)
    assert (found["reason"], found["features"]) == (None, {"a": 1.0, "c": 2.0})
    twice = json.dumps({**row, "features": {"b": 1.0}}).replace('"b": 1.0', '"b": 1.0, "b": 2.0')
    lines = landed(Event(MODEL_PREDICTIONS.name, NOON, row)).withColumn("row", F.lit(twice))
    (found,) = with_contract_columns(lines, MODEL_PREDICTIONS).collect()
    assert found["reason"] == TORN


def test_a_row_without_a_slate_is_one_prediction_as_it_was_landed_before(landed):
    row = {**SHARED, **ad(1, []), "features": {"position": 1.0}}
    del row["inputs"]
    (found,) = told(landed, row)
    assert (found["reason"], found["prediction_id"], found["features"]) == (None, "p-1", {"position": 1.0})


@pytest.mark.parametrize(
    ("names", "slate", "reasons"),
    [
        (["a", "b"], [ad(1, [1.0]), ad(2, [1.0, 2.0])], [TORN, None]),
        (["a", "a"], [ad(1, [1.0, 2.0])], [TORN]),
        (["a", None], [ad(1, [1.0, 2.0])], [TORN]),
        (None, [ad(1, [1.0])], [TORN]),
        (["a"], [ad(1, None)], [TORN]),
        (["a"], [ad(1, [1.0], probability=1.5), ad(2, [1.0])], ["probability: above 1", None]),
        (
            ["a"],
            [],
            ["prediction_id: missing; impression_id: missing; ad_id: missing; probability: missing"],
        ),
    ],
)
def test_a_broken_ad_is_refused_by_itself(landed, names, slate, reasons):
    found = told(landed, {**SHARED, "input_names": names, "slate": slate})
    assert [row["reason"] for row in found] == reasons


def test_a_probability_keeps_its_bits(landed):
    value = 0.1 + 0.2
    row = {**SHARED, "input_names": ["a"], "slate": [ad(1, [value], probability=value)]}
    (found,) = told(landed, json.loads(json.dumps(row)))
    assert (found["probability"], found["features"]) == (value, {"a": value})
