import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_contracts.feature_set_files import load_feature_set


@pytest.fixture
def tiny_feature_set_hash() -> str:
    return load_feature_set(Path(__file__).with_name("tiny_features.py")).hash


def test_one_ad_is_answered_and_its_record_is_on_disk(served: Any, tiny_feature_set_hash: str) -> None:
    answer = served.predict({"user_id": "u-1", "ad_id": "shoes", "features": {"device_type": "phone", "position": 2}})
    (row,) = served.logged()
    ids = {name: answer.pop(name) for name in ("request_id", "prediction_id", "impression_id")}
    assert len(set(ids.values())) == 3
    assert answer == {
        "ad_id": "shoes",
        "probability": row["probability"],
        "model_version": "1",
        "source": "model",
        "counts_as_of": "2019-11-30T12:00:00.000000Z",
        "variant": "none",
    }
    assert row.pop("user_id") not in ("", "u-1")
    assert row == ids | answer | {
        "position": 2,
        "experiment": "none",
        "predicted_at": "2019-11-30T12:30:00.000000Z",
        "feature_set_hash": tiny_feature_set_hash,
        "features": {
            "position": 2.0,
            "timestamp": 1575117000.0,
            "ad_impressions_7d": 1000.0,
            "ad_clicks_7d": 50.0,
            "ad_device_type_impressions_7d": 600.0,
            "ad_device_type_clicks_7d": 40.0,
            "user_impressions_7d": 0.0,
            "user_clicks_7d": 0.0,
        },
    }


def test_a_slate_is_one_request_with_a_record_an_ad(served: Any) -> None:
    ads = [{"ad_id": "shoes"}, {"ad_id": "hats", "features": {"position": 4}}, {"ad_id": "never seen"}]
    answer = served.predict({"user_id": "u-1", "ads": ads, "features": {"position": 3}})
    rows = served.logged()
    assert [row["ad_id"] for row in rows] == ["shoes", "hats", "never seen"]
    assert [row["position"] for row in rows] == [3, 4, 3]
    assert {row["request_id"] for row in rows} == {answer["request_id"]}
    for given, row in zip(answer["predictions"], rows, strict=True):
        assert given == {name: row[name] for name in ("ad_id", "probability", "prediction_id", "impression_id")}
    assert len({row[name] for row in rows for name in ("prediction_id", "impression_id")}) == 6
    assert set(answer) == {"request_id", "model_version", "source", "counts_as_of", "variant", "predictions"}


def test_mlflow_gives_the_logged_probabilities_for_the_logged_inputs(served: Any) -> None:
    served.predict({"user_id": "u-1", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats"}, {"ad_id": "never seen"}]})
    rows = served.logged()
    answer = served.client.post("/invocations", json={"dataframe_records": [row["features"] for row in rows]})
    assert answer.status_code == 200
    found = [prediction["probability"] for prediction in answer.json()["predictions"]]
    assert found == [row["probability"] for row in rows]


def test_mlflow_keeps_its_routes(served: Any) -> None:
    assert served.client.get("/ping").status_code == 200
    assert served.client.get("/version").text[0].isdigit()
    assert served.client.post("/invocations", json={"nonsense": 1}).status_code == 400
    answer = served.client.post("/invocations", json={"dataframe_split": {"columns": [{}], "data": [""]}})
    assert (answer.status_code, answer.json()["type"]) == (400, "malformed_request")
    assert served.client.get("/invocations").status_code == 405
    assert served.client.post("/invocations", content=b"1").status_code == 415


def test_a_client_that_leaves_before_its_inputs_are_whole_is_no_error(
    served: Any, caplog: pytest.LogCaptureFixture, waiting: Callable[..., Any]
) -> None:
    head = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.settings.services.serving_port)) as connection:
        connection.sendall(head + b"{}")
    waiting(lambda: served.client.get("/ping").is_success)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_more_inputs_than_a_body_may_hold_are_refused(served: Any) -> None:
    answer = served.client.post("/invocations", json={"dataframe_records": [{"position": 1.0}] * 2000})
    assert (answer.status_code, answer.json()["type"]) == (413, "body_too_large")


def test_the_active_model_is_told_with_its_metrics(served: Any, tiny_feature_set_hash: str) -> None:
    told = served.client.get("/model/active").json()
    assert (told["model"], told["version"], told["registry"]) == ("ad_ctr", "1", "ok")
    assert told["metrics"] == {"holdout_log_loss": 0.03, "holdout_normalized_entropy": 0.99}
    assert told["feature_set_hash"] == tiny_feature_set_hash
    assert told["verdict"] is None
    assert len(told["run_id"]) == 32


def test_a_probability_reads_back_bit_for_bit(served: Any) -> None:
    answer = served.client.post("/predict", json={"user_id": "u", "ad_id": "shoes"})
    (row,) = served.logged()
    assert json.loads(answer.content)["probability"].hex() == row["probability"].hex()
