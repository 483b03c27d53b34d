"""The registered model, loaded as serving and `mlflow models serve` load it: exactness, and how it behaves."""

import asyncio
import json
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
import xgboost
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, scoring_server

from ml.calibrate import probabilities
from ml.ctr_model import CtrModel
from tests.ml import learnable_market as market
from tests.ml.learnable_market import Laboratory

NOON = market.START.timestamp() + 12 * 3600
REQUEST = {"position": 1.0, "timestamp": NOON}


@pytest.fixture
def pyfunc(laboratory: Laboratory, store: object) -> PyFuncModel:
    return mlflow.pyfunc.load_model(laboratory.models["good"])


@pytest.fixture
def model(pyfunc: PyFuncModel) -> Any:
    return pyfunc.unwrap_python_model()


@pytest.fixture
def rows() -> list[dict[str, float]]:
    return [row["inputs"] for row in market.impressions()[:300]]


def ad(ctr: float, **others: float) -> dict[str, float]:
    return REQUEST | market.counts(ctr, 1) | others


def test_what_is_registered_scores_as_what_was_trained(
    model: Any, laboratory: Laboratory, rows: list[dict[str, float]]
) -> None:
    matrix = xgboost.DMatrix(laboratory.training_set.features[:300])
    margins = laboratory.model.trees.predict(matrix, output_margin=True).astype(np.float64)
    expected = probabilities(laboratory.model.calibration, margins).tolist()
    assert model.probabilities(rows) == expected


def test_predict_gives_the_same_probabilities_bit_for_bit(pyfunc: PyFuncModel, rows: list[dict[str, float]]) -> None:
    answer = pyfunc.predict(pd.DataFrame(rows))
    assert list(answer.columns) == ["probability"]
    assert answer["probability"].tolist() == pyfunc.unwrap_python_model().probabilities(rows)


def test_a_row_scores_the_same_alone_and_among_others(model: Any, rows: list[dict[str, float]]) -> None:
    assert [model.probabilities([row])[0] for row in rows[:20]] == model.probabilities(rows)[:20]
    assert model.probabilities([]) == []


def test_an_absent_count_is_zero(pyfunc: PyFuncModel) -> None:
    nothing_known = REQUEST | {name: 0.0 for name in market.feature_set().input_names if name not in REQUEST}
    expected = pyfunc.unwrap_python_model().probabilities([nothing_known])
    assert pyfunc.unwrap_python_model().probabilities([REQUEST]) == expected
    assert pyfunc.predict(pd.DataFrame([REQUEST]))["probability"].tolist() == expected
    half_given = pd.DataFrame([ad(0.2), REQUEST])
    assert pyfunc.predict(half_given)["probability"].tolist()[1:] == expected


def test_a_row_without_a_request_field_is_refused(pyfunc: PyFuncModel) -> None:
    with pytest.raises(MlflowException, match="position"):
        pyfunc.predict(pd.DataFrame([{"timestamp": NOON}]))
    with pytest.raises(ValueError, match="position is missing in a row; every row needs position and timestamp"):
        pyfunc.predict(pd.DataFrame([REQUEST, REQUEST | {"position": math.nan}]))


def test_the_feature_set_travels_with_the_model_under_its_own_name(model: Any) -> None:
    assert model.feature_set.name == "small_features"
    assert model.feature_set.hash == market.feature_set().hash
    assert model.feature_set.path != market.feature_set().path


def test_two_versions_of_different_definitions_and_code_live_in_one_process(
    laboratory: Laboratory, store: object
) -> None:
    loaded = {
        name: mlflow.pyfunc.load_model(laboratory.models[name]) for name in ("good", "other features", "class labels")
    }
    one, other = loaded["good"].unwrap_python_model(), loaded["other features"].unwrap_python_model()
    assert one.feature_set.name == other.feature_set.name
    # 14 clicks of 700 impressions and a prior of 1 click in 200 impressions, then of 0.01 clicks in 2
    assert one.feature_set.row(ad(0.02))[1] == pytest.approx(15 / 900)
    assert other.feature_set.row(ad(0.02))[1] == pytest.approx(14.01 / 702)
    assert type(one) is not type(other)
    assert loaded["class labels"].predict(pd.DataFrame([ad(0.2)]))["probability"].tolist() == [1.0]
    assert 0 < loaded["good"].predict(pd.DataFrame([ad(0.2)]))["probability"][0] < 1


def test_many_threads_get_the_scores_of_one(model: Any, rows: list[dict[str, float]]) -> None:
    expected = model.probabilities(rows)
    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(lambda _: model.probabilities(rows), range(32)))


async def posted(application: Any, body: str) -> httpx.Response:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
        return await client.post("/invocations", content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records"])
def test_mlflows_scoring_server_answers_probabilities_not_classes(
    pyfunc: PyFuncModel, rows: list[dict[str, float]], form: str
) -> None:
    frame = pd.DataFrame(rows[:50])
    body = {form: frame.to_dict("split", index=False) if form == "dataframe_split" else rows[:50]}
    answer = asyncio.run(posted(scoring_server.init(pyfunc), json.dumps(body)))
    assert answer.status_code == 200, answer.text
    scores = [row["probability"] for row in answer.json()["predictions"]]
    assert scores == pyfunc.unwrap_python_model().probabilities(rows[:50])
    assert len(set(scores)) > 2
    assert all(0 < score < 1 for score in scores)


def test_the_class_can_be_used_without_mlflows_loader() -> None:
    assert CtrModel().probabilities([]) == []


def test_invariance_the_minute_and_an_unknown_input_change_nothing(model: Any) -> None:
    scores = model.probabilities([ad(0.1), ad(0.1, timestamp=NOON + 1799), ad(0.1, weather=3.0)])
    assert scores[0] == scores[1] == scores[2]


def test_direction_an_ad_clicked_far_more_scores_no_lower(model: Any) -> None:
    scores = model.probabilities([ad(ctr) for ctr in (0.02, 0.09, 0.2)])
    assert scores == sorted(scores)
    assert scores[0] < scores[2]


def test_minimum_function_the_best_and_the_worst_ad_are_told_apart(model: Any) -> None:
    worst, best = model.probabilities([ad(0.02), ad(0.2)])
    assert worst < 0.06
    assert best > 0.12
