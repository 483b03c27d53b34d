"""PUT /model/activate/{version} over real HTTP and a real registry."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from data_contracts import registry as aliases
from data_contracts.api_keys import add
from data_contracts.model_versions import ALIAS_MOVE, Verdict
from tests.serving.conftest import running

SLATE = {"user_id": "u", "ads": [{"ad_id": "shoes"}]}


@pytest.fixture
def judged(served: Any, registry: Any) -> Callable[..., None]:
    """Gives a version a verdict against the champion of now."""

    def judge(version: str, outcome: str = "promote") -> None:
        evidence = {"challenger_version": version, "champion_version": aliases.champion_version(served.settings)}
        verdict = Verdict(outcome, ("no worse",), (), evidence)  # type: ignore[arg-type]
        aliases.record_verdict(served.settings, version, verdict)

    return judge


def put(served: Any, version: str, headers: Any = None, **body: str) -> Any:
    return served.client.put(f"/model/activate/{version}", json=body or None, headers=headers or {})


def test_a_version_with_a_verdict_takes_over_and_the_old_one_is_previous(served: Any, judged: Any) -> None:
    judged("2")
    answer = put(served, "2")
    assert (answer.status_code, answer.json()) == (200, {"version": "2", "previous": "1", "is_in_use": True})
    assert answer.headers["etag"] == '"2"'
    assert served.predict(SLATE)["model_version"] == "2"
    assert aliases.aliases(served.settings) == {"champion": "2", "previous": "1"}


def test_the_champion_again_changes_nothing(served: Any) -> None:
    answer = put(served, "1")
    assert (answer.status_code, answer.json()["previous"]) == (200, None)
    assert aliases.aliases(served.settings) == {"champion": "1"}


@pytest.mark.parametrize(
    ("version", "status", "kind"),
    [
        ("99", 404, "unknown_version"),
        ("two", 422, "invalid_request"),
        ("-1", 422, "invalid_request"),
        ("%D9%A3", 422, "invalid_request"),
    ],
)
def test_what_cannot_be_activated_is_said(served: Any, version: str, status: int, kind: str) -> None:
    answer = put(served, version)
    assert (answer.status_code, answer.json()["type"]) == (status, kind)
    assert aliases.aliases(served.settings) == {"champion": "1"}


def test_a_verdict_that_was_reached_against_another_champion_is_none(served: Any, judged: Any, registry: Any) -> None:
    judged("2")
    registry.promote(5)
    answer = put(served, "2")
    assert (answer.status_code, answer.json()["type"]) == (409, "not_promotable")
    assert aliases.aliases(served.settings) == {"champion": "5"}


def test_a_refused_version_is_not_activated_whatever_the_reason(served: Any, judged: Any) -> None:
    judged("2", "refuse")
    assert put(served, "2").json()["type"] == "not_promotable"
    assert put(served, "2", reason="I know better").json()["type"] == "not_promotable"
    assert served.predict(SLATE)["model_version"] == "1"


def test_a_verdict_that_waits_for_a_person_is_overruled_by_a_reason_which_is_kept(served: Any, judged: Any) -> None:
    judged("2", "wait_for_person")
    answer = put(served, "2")
    assert (answer.status_code, answer.json()["type"]) == (409, "override_needed")
    answer = put(served, "2", reason="the leak was looked for")
    assert answer.status_code == 200
    found = aliases.version(served.settings, "2")
    assert found.tags["approved_by"] == "open access: the leak was looked for"
    (moved,) = [words for name, words in found.tags.items() if name.startswith(ALIAS_MOVE)]
    assert moved == "champion: approved by open access: the leak was looked for"


def test_a_version_that_cannot_score_leaves_alias_and_champion(served: Any, judged: Any) -> None:
    judged("4")
    answer = put(served, "4")
    assert (answer.status_code, answer.json()["type"]) == (409, "model_unusable")
    assert "no probability" in answer.json()["detail"]
    assert aliases.aliases(served.settings) == {"champion": "1"}
    assert served.predict(SLATE)["model_version"] == "1"


def test_if_match_holds_the_version_that_was_looked_at(served: Any, judged: Any) -> None:
    judged("2")
    etag = served.client.get("/model/active").headers["etag"]
    assert etag == '"1"'
    refused = put(served, "2", {"if-match": '"7"'})
    assert (refused.status_code, refused.json()["detail"]) == (412, "the champion is version 1")
    unquoted = put(served, "2", {"if-match": "1"})
    assert (unquoted.status_code, unquoted.json()["errors"][0]["code"]) == (422, "not_an_etag")
    assert put(served, "2", {"if-match": etag}).status_code == 200
    assert put(served, "2", {"if-match": etag}).status_code == 412


def test_of_two_at_once_with_the_same_if_match_one_wins(served: Any, judged: Any) -> None:
    judged("2")
    judged("5")
    answers: list[int] = []

    def ask(version: str) -> None:
        answers.append(put(served, version, {"if-match": '"1"'}).status_code)

    asking = [threading.Thread(target=ask, args=[version]) for version in ("2", "5")]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert sorted(answers) == [200, 412]


def test_without_mlflow_it_is_503(degraded: Any) -> None:
    answer = put(degraded, "1")
    assert (answer.status_code, answer.json()["type"]) == (503, "registry_unreachable")


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b'{"why": 1}', 422), (b'{"reason": ""}', 422)])
def test_a_body_that_is_no_reason_is_refused(served: Any, body: bytes, status: int) -> None:
    answer = served.client.put("/model/activate/2", content=body)
    assert answer.status_code == status


def test_only_an_admins_key_overrules(
    settings: Any, publish: Callable[..., Any], registry: Any, waiting: Callable[..., Any]
) -> None:
    publish()
    registry.promote(1)
    evidence = {"challenger_version": "2", "champion_version": "1"}
    aliases.record_verdict(settings, "2", Verdict("wait_for_person", ("a leap",), (), evidence))
    now = datetime.now(UTC)
    keys = {role: add(settings.api_keys, [role], role, now) for role in ("model:activate", "admin")}
    heads = {role: {"authorization": f"Bearer {key}"} for role, key in keys.items()}
    with running(replace(settings, serving=replace(settings.serving, access="keys"))) as served:
        waiting(lambda: served.application.models.current)
        assert put(served, "2").status_code == 401
        assert put(served, "2", heads["model:activate"]).json()["type"] == "override_needed"
        assert put(served, "2", heads["model:activate"], reason="why not").status_code == 403
        assert put(served, "2", heads["admin"], reason="looked into").status_code == 200
    assert aliases.version(settings, "2").tags["approved_by"].endswith("(admin): looked into")
