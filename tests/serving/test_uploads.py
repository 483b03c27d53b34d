"""POST /model/upload over HTTP, on a real lake and registry."""

import base64
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from data_contracts import registry
from data_contracts.known_features import keep
from data_contracts.settings import load
from serving import uploads
from serving.booster_file import BoosterFileError
from tests.ml import learnable_market as market
from tests.ml.conftest import add_version, laboratory, store
from tests.ml.learnable_market import Laboratory
from tests.serving.conftest import running, wait_for

__all__ = ["add_version", "laboratory", "store"]

SECOND = market.SECOND_AS_OF
ASKED = {"feature_set": market.feature_set().hash, "trained_through": "2026-01-01T00:00:00Z"}
BINARY = {"content-type": "application/octet-stream"}


@pytest.fixture
def asked(environ: Any, laboratory: Laboratory, store: MlflowClient) -> Iterator[Any]:
    """A serving that has the laboratory's lake for its own."""
    keep(laboratory.settings, market.feature_set())
    with running(load(os.environ | {"CLICKLAKE_CONF": environ["CLICKLAKE_CONF"]})) as serving:
        yield serving


@pytest.fixture
def model(laboratory: Laboratory, tmp_path: Path) -> bytes:
    laboratory.model.trees.save_model(tmp_path / "model.json")
    return (tmp_path / "model.json").read_bytes()


def upload(serving: Any, content: bytes, headers: Any = None, **params: str) -> Any:
    return serving.client.post(
        "/model/upload", params=ASKED | params, content=content, headers=BINARY | (headers or {}), timeout=120
    )


def evaluation(serving: Any) -> Any:
    return serving.client.get("/model/versions/1").json()


def test_a_model_becomes_a_version_without_an_alias_and_its_evaluation_is_told(asked: Any, model: bytes) -> None:
    """Nothing of Spark runs here, so that no holdout can be made: that is what is told."""
    answer = upload(asked, model)
    assert (answer.status_code, answer.headers["location"]) == (201, "/model/versions/1")
    told = answer.json()
    assert (told["version"], told["outcome"], told["aliases"]) == ("1", None, [])
    assert told["uploaded_by"] == "open access"
    wait_for(lambda: evaluation(asked)["evaluation"] != "under way", 60)
    assert evaluation(asked)["evaluation"].startswith("failed: ")
    assert "Spark" in evaluation(asked)["evaluation"]


def test_the_same_model_again_is_the_version_that_it_is(asked: Any, model: bytes) -> None:
    first, again = upload(asked, model), upload(asked, json.dumps(json.loads(model), indent=1).encode())
    assert [(each.status_code, each.json()["version"]) for each in (first, again)] == [(201, "1"), (200, "1")]


def test_one_whose_evaluation_failed_is_evaluated_again_when_it_comes_again(asked: Any, model: bytes) -> None:
    upload(asked, model)
    wait_for(lambda: evaluation(asked)["evaluation"].startswith("failed: "), 60)
    registry.set_tag(asked.settings, "1", "evaluation", "failed: long ago")
    assert upload(asked, model).status_code == 200
    wait_for(lambda: "Spark" in evaluation(asked)["evaluation"], 60)


def test_a_second_upload_is_refused_while_one_is_checked(asked: Any, model: bytes, monkeypatch: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def waiting(*_: Any) -> Any:
        begun.set()
        go_on.wait(30)
        raise BoosterFileError("malformed", "enough")

    monkeypatch.setattr(uploads, "loaded_and_resaved", waiting)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(upload, asked, model)
        begun.wait(30)
        second = upload(asked, model)
        go_on.set()
    assert (second.status_code, second.json()["type"], second.headers["retry-after"]) == (503, "upload_under_way", "1")
    assert first.result().json()["type"] == "malformed"


@pytest.mark.parametrize(
    ("changed", "status", "kind", "loc"),
    [
        ({"content": b""}, 422, "malformed", None),
        ({"content": b"PK\x03\x04 a zip"}, 415, "unsupported_kind", None),
        ({"content": b'{"learner": 1}'}, 422, "malformed", None),
        ({"headers": {"content-type": "application/json"}}, 415, "unsupported_media_type", None),
        ({"headers": {"content-digest": "sha-256=:AAAA:"}}, 422, "invalid_request", "header.content-digest"),
        ({"feature_set": "0" * 64}, 422, "invalid_request", "query.feature_set"),
        ({"feature_set": "../" * 20 + "abcd"}, 422, "invalid_request", "query.feature_set"),
        ({"trained_through": "yesterday"}, 422, "invalid_request", "query.trained_through"),
        ({"trained_through": "2026-01-01"}, 422, "invalid_request", "query.trained_through"),
        ({"trained_through": "2126-01-01T00:00:00Z"}, 422, "invalid_request", "query.trained_through"),
        ({"activate": "yes"}, 422, "invalid_request", "query.activate"),
    ],
)
def test_what_is_no_model_of_ours_is_refused(
    asked: Any, model: bytes, changed: dict[str, Any], status: int, kind: str, loc: str | None
) -> None:
    answer = upload(asked, **{"content": model} | changed)
    told = answer.json()
    assert (answer.status_code, told["type"]) == (status, kind)
    assert [error["loc"] for error in told["errors"]] == ([loc] if loc else [])
    assert registry.versions(asked.settings) == []


def test_a_digest_that_fits_is_taken(asked: Any, model: bytes) -> None:
    digest = base64.b64encode(hashlib.sha256(model).digest()).decode()
    assert upload(asked, model, {"content-digest": f"sha-256=:{digest}:"}).status_code == 201


def test_what_cannot_be_registered_leaves_nothing(asked: Any, model: bytes, monkeypatch: Any) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    answer = upload(asked, model)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(("number", "status"), [("1", 404), ("one", 422), ("-1", 422)])
def test_a_version_that_is_none(asked: Any, number: str, status: int) -> None:
    assert asked.client.get(f"/model/versions/{number}").status_code == status


def test_a_version_that_was_trained_here_is_told_too(asked: Any, add_version: Callable[..., str]) -> None:
    add_version("good", SECOND, "challenger")
    told = evaluation(asked)
    assert (told["evaluation"], told["aliases"], told["uploaded_by"]) == ("done", ["challenger"], None)
