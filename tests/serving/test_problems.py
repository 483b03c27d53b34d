import http.client
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
GOOD = b'{"user_id": "u-1", "ad_id": "shoes"}'
LONG_SLATE = b'{"user_id": "u", "ads": [%s]}' % b",".join([b'{"ad_id": "a"}'] * 21)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "kind", "loc"),
    [
        ("POST", "/nowhere", JSON, GOOD, 404, "not_found", ""),
        ("GET", "/", {}, b"", 404, "not_found", ""),
        ("POST", "/predict/", JSON, GOOD, 404, "not_found", ""),
        ("GET", "/predict", {}, b"", 405, "method_not_allowed", ""),
        ("DELETE", "/predict", JSON, GOOD, 405, "method_not_allowed", ""),
        ("POST", "/health", JSON, GOOD, 405, "method_not_allowed", ""),
        ("PUT", "/model/active", JSON, GOOD, 405, "method_not_allowed", ""),
        ("POST", "/predict", {}, GOOD, 415, "unsupported_media_type", ""),
        ("POST", "/predict", CSV, GOOD, 415, "unsupported_media_type", ""),
        ("POST", "/predict", JSON | {"content-encoding": "gzip"}, GOOD, 415, "unsupported_media_type", ""),
        ("POST", "/predict", CSV, b" " * 20_001, 415, "unsupported_media_type", ""),
        ("POST", "/predict", JSON, b" " * 20_001, 413, "body_too_large", ""),
        ("POST", "/predict", JSON, iter([b" " * 15_000, b" " * 15_000]), 413, "body_too_large", ""),
        ("POST", "/predict", JSON, b"", 400, "malformed_json", ""),
        ("POST", "/predict", JSON, b" " * 20_000, 400, "malformed_json", ""),
        ("POST", "/predict", JSON, GOOD[:-1], 400, "malformed_json", ""),
        ("POST", "/predict", JSON, b'{"ad_id": "shoes"}', 422, "invalid_request", "user_id"),
        ("POST", "/predict", JSON, LONG_SLATE, 422, "invalid_request", "ads"),
    ],
)
def test_each_refusal_is_a_problem_document_and_the_connection_goes_on(
    degraded: Any, method: str, path: str, headers: dict[str, str], body: Any, status: int, kind: str, loc: str
) -> None:
    answer = degraded.client.request(method, path, headers=headers, content=body)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["type"]) == (status, status, kind)
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["loc"] for error in problem["errors"]] == ([loc] if loc else [])
    assert ("allow" in answer.headers) == (status == 405)
    assert degraded.client.get("/health").status_code == 200


def test_a_405_names_what_is_allowed(degraded: Any) -> None:
    assert degraded.client.get("/predict").headers["allow"] == "POST"
    assert degraded.client.post("/health").headers["allow"] == "GET, HEAD"


def test_a_body_that_is_announced_too_large_is_refused_unread(degraded: Any) -> None:
    port = degraded.settings.services.serving_port
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.putrequest("POST", "/predict")
        for name, value in (JSON | {"content-length": "1000000000"}).items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == 413


def test_without_model_and_snapshot_a_prediction_is_503_with_the_reason(degraded: Any) -> None:
    answer = degraded.client.post("/predict", json={"user_id": "u", "ad_id": "shoes"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (answer.json()["type"], answer.json()["detail"]) == ("no_counts", "no snapshot of the counts is published")


@pytest.mark.parametrize(("method", "path"), [("POST", "/invocations"), ("GET", "/ping"), ("GET", "/version")])
def test_without_a_model_the_routes_of_mlflow_are_503(degraded: Any, method: str, path: str) -> None:
    answer = degraded.client.request(method, path)
    assert (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) == (503, "no_model", "1")


def test_without_a_model_the_active_model_is_404_with_the_reason(degraded: Any, waiting: Callable[..., Any]) -> None:
    waiting(lambda: degraded.health()["registry"]["problem"] != "not asked yet")
    answer = degraded.client.get("/model/active")
    assert (answer.status_code, answer.json()["type"]) == (404, "no_active_model")
    assert "MLflow does not answer at 127.0.0.1:" in answer.json()["detail"]
