"""A user who opts out is answered by context alone, from that request on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serving.conftest import ENTITIES, LAYOUT, Served, wait_for

OPTED_OUT = {"sec-gpc": "1"}
ADS = [{"ad_id": "shoes"}, {"ad_id": "hats", "features": {"position": 2, "consent": "granted"}}]


@pytest.fixture
def known(publish: Callable[..., Path], registry: Any, serve: Callable[[], Served]) -> Served:
    """Serving that knows 700 impressions of user `u`."""
    registry.promote(1)
    served = serve()
    own = served.application.pseudonym_of("u")
    publish(layout=LAYOUT, entities={**ENTITIES, ("user_id", own): (700, 50)})
    wait_for(lambda: served.application.models.current and served.application.snapshots.current)
    return served


def history(served: Served, body: Any, headers: dict[str, str]) -> list[float]:
    """What each ad's score was told of the user's impressions."""
    before = len(served.logged())
    answer = served.client.post("/predict", json=body, headers=headers)
    assert answer.status_code == 200
    return [row["features"]["user_impressions_7d"] for row in served.logged()[before:]]


@pytest.mark.parametrize("body", [{"user_id": "u", "ad_id": "shoes"}, {"user_id": "u", "ads": ADS}])
@pytest.mark.parametrize("stated", ["granted", "unknown", None])
def test_the_global_privacy_control_counts_whatever_else_is_stated(known: Served, body: Any, stated: Any) -> None:
    body = body | {"features": {"consent": stated} if stated else {}}
    ads = len(body.get("ads", ["one"]))
    assert history(known, body, OPTED_OUT) == [0.0] * ads
    assert history(known, body, {}) == [700.0] * ads


@pytest.mark.parametrize("value", ["0", "", "true", "01", "1, 1"])
def test_only_the_value_1_is_the_signal(known: Served, value: str) -> None:
    assert history(known, {"user_id": "u", "ad_id": "shoes"}, {"sec-gpc": value}) == [700.0]


def test_a_user_who_states_denial_is_answered_alike(known: Served) -> None:
    denying = {"user_id": "u", "ad_id": "shoes", "features": {"consent": "denied"}}
    assert history(known, denying, {}) == [0.0]
    body = {"user_id": "u", "ad_id": "shoes"}
    probabilities = {
        known.client.post("/predict", json=asked, headers=headers).json()["probability"]
        for asked, headers in ((denying, {}), (body, OPTED_OUT), (denying, OPTED_OUT))
    }
    assert len(probabilities) == 1


@pytest.mark.parametrize("value", ["no", "Denied", "", False, 0])
def test_a_consent_that_is_none_is_refused_and_not_taken_for_one(known: Served, value: Any) -> None:
    one = {"user_id": "u", "ad_id": "shoes", "features": {"consent": value}}
    slate = {"user_id": "u", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats", "features": {"consent": value}}]}
    for body, loc in ((one, "features.consent"), (slate, "ads[1].features.consent")):
        answer = known.client.post("/predict", json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"loc": loc, "code": "not_allowed"}]
