import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any

import mlflow
import pytest

SLATE = {"user_id": "u", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats"}, {"ad_id": "never seen"}]}


def recomputed(rows: list[Mapping[str, Any]], uri: str) -> list[float]:
    """The probability of each row by the version it names, loaded anew."""
    mlflow.set_tracking_uri(uri)
    models = {
        version: mlflow.pyfunc.load_model(f"models:/ad_ctr/{version}").unwrap_python_model()
        for version in {row["model_version"] for row in rows}
    }
    return [models[row["model_version"]].probabilities([row["features"]])[0] for row in rows]


@pytest.mark.parametrize("swaps", [4, pytest.param(100, marks=pytest.mark.soak)])
def test_swaps_under_load_fail_no_request_and_mix_no_answer(
    served: Any, registry: Any, waiting: Callable[..., Any], swaps: int
) -> None:
    stopping = threading.Event()
    answers: list[Any] = []

    def load() -> None:
        while not stopping.is_set():
            answers.append(served.client.post("/predict", json=SLATE))

    clients = [threading.Thread(target=load) for _ in range(3)]
    for client in clients:
        client.start()
    for version in itertools.islice(itertools.cycle([2, 1]), swaps):
        seen = len(answers)
        registry.promote(version)
        waiting(lambda version=version: served.health()["model"]["version"] == str(version))
        waiting(lambda seen=seen: len(answers) > seen + 6)
    stopping.set()
    for client in clients:
        client.join()

    assert {answer.status_code for answer in answers} == {200}
    rows = served.logged()
    assert {row["model_version"] for row in rows} == {"1", "2"}
    assert [row["probability"] for row in rows] == recomputed(rows, registry.uri)
    logged = {row["prediction_id"]: (row["model_version"], row["probability"]) for row in rows}
    for answer in [answer.json() for answer in answers]:
        for prediction in answer["predictions"]:
            given = (answer["model_version"], prediction["probability"])
            assert logged[prediction["prediction_id"]] == given


@pytest.mark.parametrize(("version", "reason"), [(3, "the trees are rotten"), (4, "a score that is no probability")])
def test_a_broken_champion_never_takes_over_and_is_reported(
    served: Any, registry: Any, waiting: Callable[..., Any], version: int, reason: str
) -> None:
    registry.promote(version)
    refused = waiting(lambda: served.health()["model"]["refused"])
    assert refused["version"] == str(version)
    assert reason in refused["reason"]
    assert served.health()["status"] == "degraded"
    assert served.predict(SLATE)["model_version"] == "1"
    assert served.client.get("/model/active").json()["version"] == "1"


def test_a_sound_version_after_a_broken_one_takes_over(served: Any, registry: Any, waiting: Callable[..., Any]) -> None:
    registry.promote(3)
    waiting(lambda: served.health()["model"]["refused"])
    registry.promote(2)
    waiting(lambda: served.predict(SLATE)["model_version"] == "2")
    assert served.health()["model"]["refused"] is None


def test_a_refused_version_is_tried_again_ever_more_rarely(
    served: Any, registry: Any, waiting: Callable[..., Any]
) -> None:
    registry.promote(3)
    first = waiting(lambda: served.application.models.refused)
    second = waiting(lambda: (now := served.application.models.refused).attempts > 1 and now)
    assert (first.attempts, second.attempts) == (1, 2)
    assert second.retry_at - first.retry_at > 0.19


def test_a_broken_first_champion_leaves_the_prior_and_the_reason(
    publish: Callable[..., Any], registry: Any, serve: Callable[[], Any], waiting: Callable[..., Any]
) -> None:
    publish()
    registry.promote(3)
    serving = serve()
    waiting(lambda: (told := serving.health())["model"]["refused"] and told["snapshot"]["state"] == "fresh")
    assert serving.predict(SLATE)["source"] == "prior"
    answer = serving.client.get("/model/active")
    assert answer.status_code == 404
    assert "version 3 cannot be used: " in answer.json()["detail"]


def test_without_a_champion_any_more_the_prior_answers(served: Any, registry: Any, waiting: Callable[..., Any]) -> None:
    registry.promote(None)
    waiting(lambda: served.health()["model"]["version"] is None)
    assert served.predict(SLATE)["source"] == "prior"
    assert served.client.get("/model/active").json()["detail"] == "no version of ad_ctr has been promoted"


def test_while_mlflow_is_down_the_champion_stays(
    served: Any, waiting: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:

    def is_unreachable() -> bool:  # MLflow sets the variable itself while a check is under way
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return bool(served.health()["registry"]["state"] == "unreachable")

    waiting(is_unreachable)
    assert served.predict(SLATE)["model_version"] == "1"
    assert served.client.get("/model/active").json()["registry"] == "unreachable"


def test_a_model_that_came_late_takes_over_from_the_prior(
    publish: Callable[..., Any], registry: Any, serve: Callable[[], Any], waiting: Callable[..., Any]
) -> None:
    publish()
    serving = serve()
    waiting(lambda: serving.health()["model"]["problem"] == "no version of ad_ctr has been promoted")
    waiting(lambda: serving.health()["snapshot"]["state"] == "fresh")
    assert serving.predict(SLATE)["source"] == "prior"
    registry.promote(1)
    waiting(lambda: serving.predict(SLATE)["source"] == "model")
