from typing import Any

import jsonschema
import pytest
import schemathesis

from data_contracts.tables import AD_IMPRESSIONS
from serving.application import MLFLOW_ROUTES

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture
def document(degraded: Any) -> Any:
    return degraded.client.get("/openapi.json").json()


def described(document: Any) -> set[tuple[str, str]]:
    return {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}


def test_the_document_is_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_each_route_that_is_answered_is_described_and_each_described_is_answered(degraded: Any, document: Any) -> None:
    answered = {(path, method) for path, methods in degraded.application._routes.items() for method in methods}
    assert described(document) == {each for each in answered if each[1] != "HEAD"} | set(MLFLOW_ROUTES.items())


@pytest.mark.parametrize("method", METHODS)
def test_of_each_path_only_the_described_methods_are_allowed(degraded: Any, document: Any, method: str) -> None:
    refused = {path for path in document["paths"] if degraded.client.request(method, path).status_code == 405}
    assert refused == {path for path in document["paths"] if (path, method) not in described(document)}


def test_what_an_event_may_hold_is_what_its_table_says(document: Any) -> None:
    schema = document["components"]["schemas"]["ad_impressions"]
    assert set(schema["properties"]) == {column.name for column in AD_IMPRESSIONS.event_columns}
    assert schema["required"] == ["ad_id", "impression_id", "timestamp", "user_id"]
    assert schema["properties"]["consent"]["enum"] == ["granted", "denied", "unknown"]
    assert schema["properties"]["device_type"] == {
        "type": "string",
        "minLength": 1,
        "maxLength": 256,
        "default": "unknown",
        "description": "kind of device",
    }


def test_the_limits_are_those_of_conf(degraded: Any, document: Any) -> None:
    schemas, limits = document["components"]["schemas"], degraded.settings.serving
    assert schemas["PredictBody"]["properties"]["ads"]["maxItems"] == limits.slate_limit == 20
    body = document["paths"]["/event/click"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["oneOf"][1]["maxItems"] == limits.event_batch_limit == 1000


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_what_is_of_now_is_not_kept(degraded: Any, path: str) -> None:
    answer = degraded.client.get(path)
    assert answer.headers["cache-control"] == "no-store"
    assert degraded.client.head(path).headers["content-type"] == answer.headers["content-type"]


def test_there_is_one_page_of_the_routes(degraded: Any) -> None:
    assert [degraded.client.get(path).status_code for path in ("/docs", "/redoc", "/docs/")] == [200, 404, 404]


@pytest.mark.parametrize(
    ("path", "method", "is_guarded"),
    [("/predict", "post", True), ("/metrics", "get", True), ("/model/upload", "post", True), ("/health", "get", False)],
)
def test_what_takes_a_key_says_so(degraded: Any, path: str, method: str, is_guarded: bool) -> None:
    operation = degraded.client.get("/openapi.json").json()["paths"][path][method]
    assert ({"401", "403"} <= set(operation["responses"])) is is_guarded
    assert ("security" in operation) is is_guarded
