"""GET /metrics and the probes, over real HTTP."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serving.conftest import wait_for

SLATE = {"user_id": "u", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats"}]}
ROOT = Path(__file__).parents[2]


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told(served: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = served.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return samples(answer.text)


def test_what_was_answered_is_counted_by_route_status_and_rung(served: Any) -> None:
    for _ in range(3):
        served.predict(SLATE)
    assert served.client.post("/predict", content=b"{").status_code == 415
    served.client.get("/no/such/path")
    served.client.post("/predict", content=iter([b"{"]), headers={"content-type": "application/json"})
    served.client.get("/ping")
    with socket.create_connection(("127.0.0.1", served.settings.services.serving_port), timeout=20) as client:
        client.sendall(b"GARBAGE\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400")
    found = told(served)
    assert found["clicklake_predictions_total", (("model_version", "1"), ("source", "model"))] == 6
    assert found["clicklake_request_seconds_count", (("route", "/predict"), ("status", "200"))] == 3
    assert found["clicklake_request_seconds_count", (("route", "/predict"), ("status", "415"))] == 1
    assert found["clicklake_request_seconds_count", (("route", "other"), ("status", "404"))] == 1
    assert found["clicklake_slate_ads_sum", ()] == 6
    assert found["clicklake_refusals_total", (("type", "unsupported_media_type"),)] == 1
    assert found["clicklake_refusals_total", (("type", "malformed_json"),)] == 1
    assert found["clicklake_refusals_total", (("type", "not_found"),)] == 1
    assert found["clicklake_refusals_total", (("type", "malformed_http"),)] == 1
    assert found["clicklake_request_seconds_count", (("route", "/ping"), ("status", "200"))] == 1


def test_the_state_is_told_and_follows_a_swap(served: Any, registry: Any, waiting: Callable[..., Any]) -> None:
    named = ("clicklake_model_in_use", (("alias", "champion"), ("model_version", "1")))
    waiting(lambda: told(served).get(named) == 1)
    found = told(served)
    assert found["clicklake_snapshot_age_seconds", ()] == 1800
    assert found["clicklake_log_failing", ()] == 0
    assert found["clicklake_log_queue_bytes", ()] == 0
    registry.promote(2)
    waiting(lambda: told(served).get(named) == 0)
    assert told(served)["clicklake_model_in_use", (("alias", "champion"), ("model_version", "2"))] == 1


def test_nothing_personal_is_in_a_label(served: Any) -> None:
    served.predict({"user_id": "jane.doe@example.org", "ad_id": "secret-ad"})
    served.client.get("/jane.doe@example.org")
    text = served.client.get("/metrics").text
    assert "jane" not in text
    assert "secret-ad" not in text


def test_the_probes_of_a_server_that_has_all(served: Any) -> None:
    assert served.client.get("/healthz/live").json() == {"status": "live"}
    ready = served.client.get("/healthz/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "reasons": []})


def test_a_server_without_counts_is_live_and_not_ready(degraded: Any) -> None:
    assert degraded.client.get("/healthz/live").status_code == 200
    wait_for(lambda: degraded.application.snapshots.problem != "not looked for yet")
    ready = degraded.client.get("/healthz/ready")
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "unready",
        "reasons": ["no counts: no snapshot of the counts is published"],
    }


def test_a_champion_that_cannot_be_used_makes_unready(
    publish: Callable[..., Any], registry: Any, serve: Callable[[], Any], waiting: Callable[..., Any]
) -> None:
    publish()
    registry.promote(3)
    serving = serve()
    waiting(lambda: serving.health()["model"]["refused"] and serving.application.snapshots.current)
    (reason,) = serving.client.get("/healthz/ready").json()["reasons"]
    assert reason.startswith("no model: version 3 cannot be used: ")
    registry.promote(1)
    waiting(lambda: serving.client.get("/healthz/ready").status_code == 200)


def test_a_log_that_cannot_be_written_makes_unready(
    served: Any, monkeypatch: pytest.MonkeyPatch, waiting: Callable[..., Any]
) -> None:
    def failing(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        assert served.client.post("/predict", json=SLATE).status_code == 503
        ready = served.client.get("/healthz/ready")
        assert ready.status_code == 503
        assert "No space left on device" in ready.json()["reasons"][0]
        assert told(served)["clicklake_refusals_total", (("type", "prediction_not_stored"),)] == 1
    served.predict(SLATE)
    assert served.client.get("/healthz/ready").status_code == 200


WORKER = """
import sys
from serving.metrics import Metrics
metrics = Metrics()
metrics.predicted("model", "1", int(sys.argv[1]))
metrics.state(10, False, 2, 60.0, {"champion": "1"}, 0)
print(metrics.exposition().decode())
"""


def test_several_workers_are_told_as_one(tmp_path: Path) -> None:
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for ads in ("3", "4"):
        run = subprocess.run(
            [sys.executable, "-c", WORKER, ads], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
        )
    found = samples(run.stdout)
    assert found["clicklake_predictions_total", (("model_version", "1"), ("source", "model"))] == 7
