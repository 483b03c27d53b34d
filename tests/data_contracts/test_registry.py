"""Versions, aliases and verdicts in a real MLflow store: what moves an alias and what may not."""

import json
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import mlflow
import pytest
import requests
from mlflow import MlflowClient

from data_contracts import mlflow_client, registry
from data_contracts.model_versions import Verdict
from data_contracts.registry import ApprovalNeededError, NotPromotableError, RegistryError
from data_contracts.settings import Settings
from tests.data_contracts.conftest import aliases, verdict


def test_a_registry_without_the_model_has_no_version(settings: Settings, store: MlflowClient) -> None:
    assert registry.champion(settings) is None
    assert registry.challenger(settings) is None
    assert registry.champion_version(settings) is None


def test_a_version_carries_its_tags_metrics_and_verdict(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str]
) -> None:
    version = add_version(as_of="2019-11-30T23:00:00+00:00")
    registry.set_challenger(settings, version)
    registry.record_verdict(settings, version, verdict(version, None))
    found = registry.challenger(settings)
    assert found is not None
    assert (found.version, found.uri) == ("1", "models:/ad_ctr/1")
    assert found.tags["as_of"] == "2019-11-30T23:00:00+00:00"
    assert found.tags["verdict"] == "promote"
    assert found.tags["verdict_summary"] == "promote: no worse; calibrated"
    assert found.metrics == {"holdout_log_loss": 0.03}
    assert found.verdict == verdict("1", None)


def test_a_promoted_version_is_champion_and_the_one_before_is_previous(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str]
) -> None:
    one, two = add_version(), add_version()
    for version, before in ((one, None), (two, one)):
        registry.record_verdict(settings, version, verdict(version, before))
        registry.promote(settings, version)
    assert aliases(store) == {"champion": "2", "previous": "1"}
    assert registry.champion_version(settings) == "2"


def test_promoting_the_champion_again_moves_nothing(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str]
) -> None:
    one, two = add_version(), add_version()
    for version, before in ((one, None), (two, one)):
        registry.record_verdict(settings, version, verdict(version, before))
        registry.promote(settings, version)
    registry.promote(settings, two)
    assert aliases(store) == {"champion": "2", "previous": "1"}


def test_a_version_without_a_verdict_is_not_promotable(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str]
) -> None:
    version = add_version(verdict="promote")  # a tag is no verdict
    with pytest.raises(NotPromotableError, match="version 1 of ad_ctr has no verdict; evaluate it first"):
        registry.promote(settings, version)
    assert aliases(store) == {}


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ("refuse", NotPromotableError),
        ("not_comparable", ApprovalNeededError),
        ("wait_for_person", ApprovalNeededError),
    ],
)
def test_any_other_outcome_is_not_promotable(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str], outcome: str, error: type[Exception]
) -> None:
    version = add_version()
    registry.record_verdict(settings, version, verdict(version, None, outcome))
    with pytest.raises(NotPromotableError, match=f"is not promoted: {outcome}: no worse; calibrated") as raised:
        registry.promote(settings, version)
    assert raised.type is error
    assert aliases(store) == {}


@pytest.mark.parametrize(("outcome", "moves"), [("wait_for_person", True), ("not_comparable", True), ("refuse", False)])
def test_a_person_can_release_all_but_a_refusal(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str], outcome: str, moves: bool
) -> None:
    version = add_version()
    registry.record_verdict(settings, version, verdict(version, None, outcome))
    if moves:
        registry.promote(settings, version, approved_by="Ada")
        assert store.get_model_version("ad_ctr", version).tags["approved_by"] == "Ada"
    else:
        with pytest.raises(NotPromotableError):
            registry.promote(settings, version, approved_by="Ada")
        assert "approved_by" not in store.get_model_version("ad_ctr", version).tags
    assert aliases(store) == ({"champion": "1"} if moves else {})


def test_a_verdict_against_another_champion_has_expired(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str]
) -> None:
    one, two, three = add_version(), add_version(), add_version()
    registry.record_verdict(settings, two, verdict(two, one))
    store.set_registered_model_alias("ad_ctr", "champion", three)
    with pytest.raises(
        NotPromotableError, match="compares version 2 with champion 1, but the champion is now 3; evaluate it again: "
    ):
        registry.promote(settings, two)
    assert aliases(store) == {"champion": "3"}


def test_a_verdict_on_another_version_is_worth_nothing(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str]
) -> None:
    one, two = add_version(), add_version()
    registry.record_verdict(settings, two, verdict(one, None))
    with pytest.raises(NotPromotableError, match="compares version 1 with champion none"):
        registry.promote(settings, two)


@pytest.mark.parametrize("text", ["{", "[]", '{"outcome": "splendid"}', '{"outcome": "promote"}'])
def test_a_damaged_verdict_promotes_nobody(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str], text: str
) -> None:
    version = add_version()
    store.log_text(store.get_model_version("ad_ctr", version).run_id, text, "verdict.json")
    with pytest.raises(RegistryError, match=r"verdict.json of run \w+ is damaged"):
        registry.promote(settings, version)
    assert aliases(store) == {}


def test_the_newest_version_of_a_tag_is_found(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str]
) -> None:
    for number in range(11):
        add_version(recipe="same" if number != 4 else "other")
    found = registry.find_version(settings, "recipe", "same")
    assert found is not None
    assert found.version == "11"
    assert registry.find_version(settings, "recipe", "absent") is None


def test_a_verdict_comes_back_from_its_json_and_holds_no_infinity() -> None:
    given = verdict("2", "1")
    assert Verdict.from_json(given.as_json()) == given
    assert json.loads(given.as_json())["slices"] == [{"column": "all", "clicks": 41}]
    with pytest.raises(ValueError, match="JSON compliant"):
        replace(given, evidence={"high": float("inf")}).as_json()


def test_with_mlflow_down_it_fails_with_one_line_and_asks_nothing_that_could_be_retried(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(
        requests.Session, "send", lambda *_, **__: pytest.fail("MLflow was asked, so it may be retried")
    )
    down = replace(settings, services=replace(settings.services, mlflow_port=9))
    with pytest.raises(RegistryError) as raised:
        registry.champion(down)
    assert str(raised.value) == "MLflow does not answer at 127.0.0.1:9 (Connection refused); is it running?"


def test_an_mlflow_that_is_ill_is_asked_twice_and_no_more(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Ill(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path.split("?")[0])
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            pass

    for name in ("MLFLOW_TRACKING_URI", *mlflow_client.PATIENCE):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), Ill) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        ill = replace(settings, services=replace(settings.services, mlflow_port=server.server_port))
        try:
            with pytest.raises(RegistryError, match=r"^MLflow: .*503"):
                registry.champion(ill)
        finally:
            server.shutdown()
    assert asked == ["/api/2.0/mlflow/registered-models/get"] * 2


def test_connecting_leaves_no_wish_behind_in_the_environment(
    settings: Settings, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        registry.connect(replace(settings, services=replace(settings.services, mlflow_port=port)))
        assert mlflow.get_tracking_uri() == f"http://127.0.0.1:{port}"
        assert "MLFLOW_TRACKING_URI" not in os.environ
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{empty_store}")
    registry.connect(settings)
    assert mlflow.get_tracking_uri() == os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{empty_store}"


def test_an_unknown_version_is_a_registry_error(
    settings: Settings, store: MlflowClient, add_version: Callable[..., str]
) -> None:
    add_version()
    with pytest.raises(RegistryError, match="ad_ctr has no version 7"):
        registry.promote(settings, "7")
