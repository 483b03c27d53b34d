"""Shadows and canaries beside the champion, over HTTP: who scores, what is kept, and what ends a canary."""

import json
from typing import Any

import pytest

from data_contracts.settings import Settings
from serving.in_use import Canary
from serving.models import ModelWatch
from serving.score_shift import ROWS_OF_A_REQUEST
from tests.serving.conftest import Served, wait_for
from tests.serving.landed import landed_tables
from tests.serving.test_models import recomputed

SLATE = {"user_id": "u", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats", "features": {"position": 3}}]}


def users(served: Served, taken: bool, count: int = 50) -> list[str]:
    """Raw ids of users whom the canary takes, or not."""
    canary = served.application.models.in_use.canary
    assert canary is not None
    pseudonym_of = served.application.pseudonym_of
    named = (f"user-{number}" for number in range(10_000))
    found = (user for user in named if canary.takes(pseudonym_of(user)) is taken)
    return [next(found) for _ in range(count)]


@pytest.fixture
def canary(served: Served, registry: Any) -> Served:
    """Version 2 answers half of the users beside champion 1."""
    registry.share(0.5)
    registry.promote(2, "canary")
    wait_for(lambda: served.application.models.in_use.canary)
    return served


def shadow_rows(served: Served) -> list[dict[str, Any]]:
    return landed_tables(served.settings.landing)["shadow_predictions"]


def test_a_shadow_scores_what_the_champion_answers_and_is_kept_beside_it(served: Served, registry: Any) -> None:
    registry.promote(2, "shadow")
    wait_for(lambda: served.application.models.in_use.shadows)
    answer = served.predict(SLATE)
    assert (answer["source"], answer["model_version"]) == ("model", "1")
    (row,) = wait_for(lambda: shadow_rows(served))
    told = {name: row[name] for name in ("model_version", "served_source", "served_version", "request_id")}
    assert told == {
        "model_version": "2",
        "served_source": "model",
        "served_version": "1",
        "request_id": answer["request_id"],
    }
    logged = served.logged()
    by_id = {each["prediction_id"]: each for each in logged}
    for each, given in zip(row["slate"], answer["predictions"], strict=True):
        assert (each["prediction_id"], each["served_probability"]) == (given["prediction_id"], given["probability"])
        same = by_id[each["prediction_id"]] | {"model_version": "2"}
        assert each["probability"] == recomputed([same], registry.uri)[0] != given["probability"]
    others = served.health()["model"]["others"]
    assert [(each["alias"], each["version"], each["problem"]) for each in others] == [("shadow", "2", None)]
    assert 'clicklake_shadow_predictions_total{model_version="2"} 2.0' in served.client.get("/metrics").text
    registry.promote(None, "shadow")
    wait_for(lambda: not served.application.models.in_use.shadows)


@pytest.mark.parametrize(
    ("version", "is_loaded", "reason"),
    [(3, False, "the trees are rotten"), (4, False, "no probability"), (5, True, "ZeroDivisionError while scoring")],
)
def test_a_broken_shadow_harms_nobody(
    served: Served, registry: Any, version: int, is_loaded: bool, reason: str
) -> None:
    registry.promote(version, "shadow")
    registry.promote(2, "shadow_sound")
    wait_for(lambda: len(served.application.models.in_use.shadows) == 1 + is_loaded)
    in_slot_13 = {"user_id": "u", "ad_id": "hats", "features": {"position": 13}}
    assert served.predict(in_slot_13)["model_version"] == "1"
    wait_for(lambda: [row["model_version"] for row in shadow_rows(served)] == ["2"])
    others = {each["alias"]: each for each in served.health()["model"]["others"]}
    assert others["shadow"]["version"] == str(version)
    assert reason in others["shadow"]["problem"]
    assert served.health()["model"]["problem"] is None
    assert served.health()["model"]["failures"] == 0


def test_a_canary_answers_its_users_and_the_champion_all_others(canary: Served, registry: Any) -> None:
    for taken, source, version in ((True, "canary", "2"), (False, "model", "1")):
        for user in users(canary, taken, 5):
            answer = canary.predict(SLATE | {"user_id": user})
            assert (answer["source"], answer["model_version"]) == (source, version)
    rows = canary.logged()
    assert [row["probability"] for row in rows] == recomputed(rows, registry.uri)
    kept = wait_for(lambda: len(found := shadow_rows(canary)) == 5 and found)
    assert {(row["model_version"], row["served_version"], row["served_source"]) for row in kept} == {
        ("1", "2", "canary")
    }
    (told,) = canary.health()["model"]["others"]
    assert (told["alias"], told["version"], told["share"]) == ("canary", "2", 0.5)


def test_a_canary_ends_at_its_first_failure_and_the_champion_answers_that_request(
    served: Served, registry: Any
) -> None:
    registry.share(0.5)
    registry.promote(5, "canary")
    wait_for(lambda: served.application.models.in_use.canary)
    user, *_ = users(served, True)
    assert served.predict(SLATE | {"user_id": user})["source"] == "canary"
    failing = {"user_id": user, "ad_id": "hats", "features": {"position": 13}}
    answer = served.predict(failing)
    assert (answer["source"], answer["model_version"]) == ("model", "1")
    assert served.predict(SLATE | {"user_id": user})["source"] == "model"
    wait_for(lambda: "canary" not in registry.aliases())
    assert "ZeroDivisionError while scoring" in registry.tags(5)["rolled_back"]
    assert served.predict(failing)["model_version"] == "1"


def test_the_champion_itself_is_no_canary(served: Served, registry: Any) -> None:
    registry.share(0.5)
    registry.promote(1, "canary")
    registry.promote(2, "shadow")
    wait_for(lambda: served.application.models.in_use.shadows)
    assert served.application.models.in_use.canary is None


def test_a_canary_with_shifted_scores_ends_once_enough_of_them_are_known(canary: Served, registry: Any) -> None:
    least = canary.settings.canary.least_rows
    slate = [{"ad_id": "shoes", "features": {"position": 1 + number % 5}} for number in range(ROWS_OF_A_REQUEST)]
    *asked, last = users(canary, True, least // len(slate))
    for user in asked:
        assert canary.predict({"user_id": user, "ads": slate})["source"] == "canary"
    wait_for(lambda: len(shadow_rows(canary)) == len(asked))
    assert canary.application.models.in_use.canary is not None
    canary.predict({"user_id": last, "ads": slate})
    wait_for(lambda: canary.application.models.in_use.canary is None)
    wait_for(lambda: "canary" not in registry.aliases())
    assert "times the champion's of the same 1,000 ads" in registry.tags(2)["rolled_back"]


def test_where_mlflow_is_away_the_canary_ends_here_and_the_registry_is_told_later(
    canary: Served, registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    wait_for(lambda: canary.application.models.registry_problem)
    canary.application.models.end_canary("2", "seen here")
    assert canary.application.models.in_use.canary is None
    assert registry.aliases()["canary"] == "2"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    wait_for(lambda: "canary" not in registry.aliases())
    assert canary.application.models.in_use.canary is None
    assert "seen here" in registry.tags(2)["rolled_back"]


def test_a_canary_that_one_worker_has_ended_ends_on_the_others(canary: Served, registry: Any) -> None:
    other = ModelWatch(canary.settings)
    other.check()
    assert other.in_use.canary is not None
    canary.application.models.end_canary("2", "too many errors")
    wait_for(lambda: "canary" not in registry.aliases())
    other.check()
    assert other.in_use.canary is None
    assert other.current is not None


def test_an_ended_canary_may_be_started_again(canary: Served, registry: Any) -> None:
    canary.application.models.end_canary("2", "off")
    wait_for(lambda: "canary" not in registry.aliases())
    wait_for(lambda: canary.application.models._ended is None)
    registry.promote(2, "canary")
    found: Canary = wait_for(lambda: canary.application.models.in_use.canary)
    assert found.model.version == "2"


def test_a_canary_that_asks_for_counts_nobody_has_answers_nobody(settings: Settings, canary: Served) -> None:
    model = canary.application.models.in_use.canary
    assert model is not None
    model.model.count_names = ("ad_saves_7d",)
    model.model._placed = (), None
    user, *_ = users(canary, True)
    assert canary.predict(SLATE | {"user_id": user})["source"] == "model"
    (told,) = canary.health()["model"]["others"]
    assert told["problem"] == "the snapshot lacks ad_saves_7d"
    assert json.dumps(told)


@pytest.mark.parametrize(("version", "reason"), [(3, "the trees are rotten"), (4, "a score that is no probability")])
def test_a_canary_that_cannot_be_used_ends_and_says_why(
    served: Served, registry: Any, version: int, reason: str
) -> None:
    registry.share(0.5)
    registry.promote(version, "canary")
    told = wait_for(lambda: served.health()["model"]["others"])
    assert (told[0]["alias"], told[0]["version"]) == ("canary", str(version))
    assert reason in told[0]["problem"]
    wait_for(lambda: "canary" not in registry.aliases())
    assert reason in registry.tags(version)["rolled_back"]
    wait_for(lambda: not served.health()["model"]["others"])
    assert served.predict(SLATE)["model_version"] == "1"


def test_an_ending_of_another_version_leaves_the_canary(canary: Served) -> None:
    canary.application.models.end_canary("5", "a late word of the one before")
    found = canary.application.models.in_use.canary
    assert found is not None
    assert found.model.version == "2"


def test_what_a_shadow_cannot_score_costs_no_other_request_its_row(served: Served, registry: Any) -> None:
    registry.promote(5, "shadow")
    wait_for(lambda: served.application.models.in_use.shadows)
    shadowing = served.application.shadowing
    taken: list[Any] = []
    shadowing.offer = taken.append  # type: ignore[method-assign]
    for position in (1, 13, 2):
        served.predict({"user_id": "u", "ad_id": "shoes", "features": {"position": position}})
    (model,) = served.application.models.in_use.shadows.values()
    shadowing._score(model, taken)
    rows = wait_for(lambda: shadow_rows(served))
    assert [row["request_id"] for row in rows] == [taken[0].given.request_id, taken[2].given.request_id]
    text = served.client.get("/metrics").text
    assert 'clicklake_shadow_failures_total{model_version="5"} 1.0' in text
    assert 'clicklake_shadow_predictions_total{model_version="5"} 2.0' in text


def test_shadows_leave_the_log_to_requests_where_it_is_half_full(
    served: Served, registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(2, "shadow")
    wait_for(lambda: served.application.models.in_use.shadows)
    monkeypatch.setattr(type(served.application.log), "is_half_full", property(lambda self: True))
    assert served.predict(SLATE)["source"] == "model"
    assert "clicklake_shadow_left_out_total 2.0" in served.client.get("/metrics").text
    assert shadow_rows(served) == []
