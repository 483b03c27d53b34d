from collections.abc import Callable
from typing import Any

import pytest

from data_contracts.pseudonym import load_key, pseudonym

NOON = 1575115200
AD_COUNTS = {"ad_id": ["ad_impressions_7d", "ad_clicks_7d"]}


@pytest.fixture
def cold(publish: Callable[..., Any], serve: Callable[[], Any], waiting: Callable[..., Any]) -> Callable[..., Any]:
    """Starts serving without a model, on a snapshot of the given content."""

    def started(**content: Any) -> Any:
        publish(**content)
        serving = serve()
        waiting(lambda: serving.application.snapshots.current)
        return serving

    return started


def test_counts_past_two_cadences_are_called_stale(
    served: Any, publish: Callable[..., Any], waiting: Callable[..., Any]
) -> None:
    assert served.predict({"user_id": "u", "ad_id": "shoes"})["source"] == "model"
    publish(as_of=NOON - 2 * 3600)
    waiting(lambda: served.health()["snapshot"]["state"] == "stale")
    answer = served.predict({"user_id": "u", "ad_id": "shoes"})
    assert (answer["source"], answer["model_version"]) == ("stale_counts", "1")
    assert answer["counts_as_of"] == "2019-11-30T10:00:00.000000Z"
    assert served.health()["status"] == "degraded"


def test_without_a_model_the_prior_is_the_smoothed_ctr_of_the_ad(cold: Callable[..., Any]) -> None:
    serving = cold()
    answer = serving.predict({"user_id": "u", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats"}, {"ad_id": "never seen"}]})
    assert (answer["source"], answer["model_version"]) == ("prior", "none")
    assert [prediction["probability"] for prediction in answer["predictions"]] == [
        (50 + 0.01 * 100) / (1000 + 100),
        (1 + 0.01 * 100) / (200 + 100),
        0.01,
    ]
    shoes, *_ = serving.logged()
    assert (shoes["source"], shoes["model_version"], shoes["feature_set_hash"]) == ("prior", "none", "none")
    assert shoes["features"] == {
        "ad_clicks_7d": 50.0,
        "ad_impressions_7d": 1000.0,
        "clicks": 100.0,
        "impressions": 10000.0,
        "prior_strength": 100.0,
    }


def test_a_snapshot_that_does_not_count_ads_by_the_week_gives_all_ads_the_ctr_of_all(cold: Callable[..., Any]) -> None:
    serving = cold(layout={"user_id": ["user_impressions_1d"]}, entities={}, prior=())
    assert serving.predict({"user_id": "u", "ad_id": "shoes"})["probability"] == 0.01


def test_a_snapshot_without_an_impression_answers_nothing(cold: Callable[..., Any]) -> None:
    answer = cold(entities={}, totals=(0, 0)).client.post("/predict", json={"user_id": "u", "ad_id": "shoes"})
    assert (answer.status_code, answer.json()["type"]) == (503, "no_counts")


def test_a_model_without_any_snapshot_does_not_score(
    registry: Any, serve: Callable[[], Any], waiting: Callable[..., Any]
) -> None:
    registry.promote(1)
    serving = serve()
    waiting(lambda: serving.health()["model"]["version"] == "1")
    answer = serving.client.post("/predict", json={"user_id": "u", "ad_id": "shoes"})
    assert (answer.status_code, answer.json()["type"]) == (503, "no_counts")
    assert serving.health()["status"] == "unavailable"
    assert serving.logged() == []


def test_a_model_whose_counts_the_snapshot_lacks_does_not_score(
    served: Any, publish: Callable[..., Any], waiting: Callable[..., Any]
) -> None:
    publish(as_of=NOON - 3600, layout=AD_COUNTS, entities={("ad_id", "shoes"): (1000, 50)})
    waiting(lambda: served.application.snapshots.current.meta.as_of == NOON - 3600)
    answer = served.predict({"user_id": "u", "ad_id": "shoes"})
    assert (answer["source"], answer["probability"]) == ("prior", 51 / 1100)
    told = served.health()
    assert (told["status"], told["model"]["version"]) == ("degraded", "1")
    assert told["model"]["problem"] == (
        "the snapshot lacks ad_device_type_clicks_7d, ad_device_type_impressions_7d, "
        "user_clicks_7d, user_impressions_7d; the prior answers"
    )


def test_when_the_model_fails_on_one_ad_the_prior_answers_the_whole_slate(
    served: Any, registry: Any, waiting: Callable[..., Any]
) -> None:
    registry.promote(5)
    waiting(lambda: served.health()["model"]["version"] == "5")
    assert served.predict({"user_id": "u", "ad_id": "shoes"})["source"] == "model"
    assert served.health()["status"] == "ok"
    answer = served.predict(
        {"user_id": "u", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats", "features": {"position": 13}}]}
    )
    assert (answer["source"], answer["model_version"]) == ("prior", "none")
    assert [prediction["probability"] for prediction in answer["predictions"]] == [51 / 1100, 2 / 300]
    told = served.health()
    assert (told["status"], told["model"]["failures"]) == ("degraded", 1)
    assert told["model"]["last_failure"] == "ZeroDivisionError while scoring"


@pytest.mark.parametrize(
    ("features", "impressions"),
    [
        ({"device_type": "phone"}, 1.0),
        ({}, 2.0),
        ({"device_type": 7}, 3.0),
        ({"device_type": True}, 4.0),
        ({"device_type": 0.5}, 5.0),
        ({"device_type": "a|b"}, 6.0),
        ({"device_type": "tv"}, 0.0),
        ({"device_type": "x" * 256}, 0.0),
    ],
)
def test_a_feature_is_counted_under_its_text(keyed: Any, features: dict[str, Any], impressions: float) -> None:
    keyed.predict({"user_id": "u", "ad_id": "ü" * 200 if "x" * 256 in features.values() else "a", "features": features})
    assert keyed.logged()[-1]["features"]["ad_device_type_impressions_7d"] == impressions


@pytest.fixture
def keyed(served: Any, publish: Callable[..., Any], waiting: Callable[..., Any]) -> Any:
    devices = ("phone", "unknown", "7", "true", "0.5", "a|b")
    publish(
        as_of=NOON - 3600,
        entities={("ad_id|device_type", "a", device): (number, 0) for number, device in enumerate(devices, 1)},
    )
    waiting(lambda: served.application.snapshots.current.meta.as_of == NOON - 3600)
    return served


def test_the_user_is_counted_under_the_pseudonym(
    settings: Any, publish: Callable[..., Any], served: Any, waiting: Callable[..., Any]
) -> None:
    user = pseudonym(load_key(settings.pseudonym_key), "jane")
    publish(as_of=NOON - 3600, entities={("user_id", user): (9, 2)})
    waiting(lambda: served.application.snapshots.current.meta.as_of == NOON - 3600)
    served.predict({"user_id": "jane", "ad_id": "shoes", "features": {"user_id": "someone else"}})
    (row,) = served.logged()
    assert row["user_id"] == user
    assert (row["features"]["user_impressions_7d"], row["features"]["user_clicks_7d"]) == (9.0, 2.0)


def test_the_default_slot_is_that_of_conf(served: Any) -> None:
    served.predict({"user_id": "u", "ad_id": "shoes"})
    assert [row["position"] for row in served.logged()] == [1]
