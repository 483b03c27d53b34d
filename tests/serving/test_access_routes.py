"""Who may ask what, over real HTTP: each role at each route, on both ways through the server."""

import importlib
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from data_contracts.api_keys import add, remove
from data_contracts.settings import Settings, load
from serving.access import role_for
from serving.application import MLFLOW_ROUTES
from tests.serving.conftest import environment, running

JSON = {"content-type": "application/json"}
ROLES = ("predict", "ingest", "analytics", "model:upload", "model:activate", "privacy", "admin")
EVENTS = ("/event/impression", "/event/click", "/catalog/ads", "/catalog/users")
NEEDED = {"/predict": "predict", **dict.fromkeys(EVENTS, "ingest")}
CLICK = {"click_id": "0b7e9a52-51a4-4c1f-8a57-6f2d8c9be002", "impression_id": "72f5c1d0-3f0e-4f7a-9d5c-0a4be1f3a001"}
CLICK |= {"timestamp": "2019-11-30T12:00:00Z"}


def new_key(settings: Settings, *roles: str, seconds: float | None = None) -> str:
    now = datetime.now(UTC)
    return add(settings.api_keys, roles, "", now, now + timedelta(seconds=seconds) if seconds is not None else None)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Serving that takes keys, without MLflow and without a snapshot."""
    importlib.import_module("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        environ = environment(tmp_path_factory.mktemp("guarded"))
        with Path(environ["CLICKLAKE_CONF"]).open("a") as overlay:
            overlay.write('access = "keys"\n')
        settings = load(environ)
        new_key(settings, "admin")
        with running(settings) as serving:
            yield serving


@pytest.fixture(scope="module")
def keys(guarded: Any) -> dict[str, str]:
    """A key of each role, and one that has expired; in use."""
    made = {role: new_key(guarded.settings, role) for role in ROLES}
    made["expired"] = new_key(guarded.settings, "admin", seconds=0)
    guarded.application.access.reload()
    return made


def asked(
    guarded: Any, path: str, key: str | None, *, in_chunks: bool, headers: Any = JSON, body: bytes = b"{}"
) -> Any:
    """A POST on the short way, or, `in_chunks`, through ASGI."""
    content = iter([body]) if in_chunks else body
    return guarded.client.post(path, content=content, headers=headers | (bearer(key) if key else {}))


@pytest.mark.parametrize("in_chunks", [False, True])
@pytest.mark.parametrize("path", NEEDED)
def test_a_post_takes_its_role_or_an_admin(guarded: Any, keys: dict[str, str], path: str, in_chunks: bool) -> None:
    for role in ROLES:
        answer = asked(guarded, path, keys[role], in_chunks=in_chunks)
        if role in (NEEDED[path], "admin"):
            assert answer.status_code == 422
            continue
        told = answer.json()
        assert (answer.status_code, told["status"], told["type"]) == (403, 403, "forbidden")
        assert told["detail"] == f"this takes a key with the role {NEEDED[path]}"
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("in_chunks", [False, True])
@pytest.mark.parametrize("path", NEEDED)
def test_without_a_key_that_holds_a_post_is_401(guarded: Any, keys: dict[str, str], path: str, in_chunks: bool) -> None:
    for key in (None, "nonsense", f"clk_00000000_{'A' * 43}", keys["admin"][:-1], keys["expired"]):
        answer = asked(guarded, path, key, in_chunks=in_chunks)
        told = answer.json()
        assert (answer.status_code, told["status"], told["type"]) == (401, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status", "role"),
    [
        ("POST", "/invocations", 503, "predict"),
        ("GET", "/model/active", 404, "any"),
        ("GET", "/health", 200, None),
        ("GET", "/ping", 503, None),
        ("GET", "/version", 503, None),
        ("GET", "/docs", 200, None),
        ("GET", "/openapi.json", 200, None),
        ("GET", "/nowhere", 404, None),
        ("GET", "/predict", 405, None),
        ("POST", "/model/active", 405, None),
    ],
)
def test_the_other_routes_take_their_role_any_key_or_none(
    guarded: Any, keys: dict[str, str], method: str, path: str, status: int, role: str | None
) -> None:
    found = {name: guarded.client.request(method, path, headers=bearer(key)).status_code for name, key in keys.items()}
    found["none"] = guarded.client.request(method, path).status_code
    expected = dict.fromkeys([*keys, "none"], status)
    if role is not None:
        expected |= {"expired": 401, "none": 401}
    if role == "predict":
        expected |= dict.fromkeys(set(ROLES) - {"predict", "admin"}, 403)
    assert found == expected


def test_every_route_is_named_and_what_is_not_is_for_an_admin(guarded: Any) -> None:
    for path in (*guarded.application._routes, *MLFLOW_ROUTES):
        assert role_for(path) != "admin", path
    assert [role_for(path) for path in ("/model/upload", "/model/activate/7", "/metrics", "/healthz/live")] == [
        "model:upload", "model:activate", "any", None,
    ]  # fmt: skip
    for path in ("", "/", "/elsewhere", "/event", "/event/click/more", "/model/activate/7/more", "/health/", "predict"):
        assert role_for(path) == "admin", path


@pytest.mark.parametrize("in_chunks", [False, True])
def test_the_key_is_looked_at_before_anything_of_the_body(guarded: Any, keys: dict[str, str], in_chunks: bool) -> None:
    bodies = [({}, b"{}", 415), (JSON, b" " * 20_001, 413), (JSON, b"{", 400), (JSON, b"{}", 422)]
    for key, status in ((None, 401), (keys["predict"], 403), (keys["ingest"], None)):
        for headers, body, of_body in bodies:
            answer = asked(guarded, "/event/click", key, in_chunks=in_chunks, headers=headers, body=body)
            assert answer.status_code == (status or of_body)


def test_the_scheme_is_taken_in_any_case_and_no_other_scheme_is(guarded: Any, keys: dict[str, str]) -> None:
    def status(authorization: str) -> int:
        return int(guarded.client.get("/model/active", headers={"authorization": authorization}).status_code)

    key = keys["predict"]
    assert [status(f"{scheme} {key}") for scheme in ("Bearer", "bearer", "BEARER", "Bearer  ")] == [404] * 4
    assert [status(text) for text in (key, f"Basic {key}", f"Bearer{key}", f"Bearer {key} {key}", "Bearer", "")] == [
        401
    ] * 6


def test_the_connection_goes_on_behind_a_refused_body(guarded: Any, keys: dict[str, str]) -> None:
    def request(key: str, length: bytes, body: bytes) -> bytes:
        head = b"POST /event/click HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n%s\r\n" % length
        return head + b"authorization: Bearer %s\r\n\r\n%s" % (key.encode(), body)

    def answered(connection: socket.socket) -> int:
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65536)
        return int(answer.split()[1])

    whole, chunked = (b"content-length: 2", b"{}"), (b"transfer-encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n")
    address = ("127.0.0.1", guarded.settings.services.serving_port)
    with closing(socket.create_connection(address, timeout=20)) as connection:
        statuses = []
        for key, (length, body) in (("predict", whole), ("predict", chunked), ("ingest", whole), ("ingest", chunked)):
            connection.sendall(request(keys[key], length, body))
            statuses.append(answered(connection))
    assert statuses == [403, 403, 422, 422]


def test_a_key_that_is_added_or_removed_counts_within_two_seconds(guarded: Any, waiting: Callable[..., Any]) -> None:
    key = new_key(guarded.settings, "ingest")
    for in_chunks in (False, True):
        waiting(lambda way=in_chunks: asked(guarded, "/event/click", key, in_chunks=way).status_code == 422, 2.0)
    remove(guarded.settings.api_keys, key[4:12])
    for in_chunks in (False, True):
        waiting(lambda way=in_chunks: asked(guarded, "/event/click", key, in_chunks=way).status_code == 401, 2.0)


def test_the_text_of_a_key_is_in_no_log_and_in_no_file(
    guarded: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    right, unknown = new_key(guarded.settings, "ingest"), f"clk_00000000_{'Z' * 43}"
    guarded.application.access.reload()
    for in_chunks in (False, True):
        assert asked(guarded, "/event/click", unknown, in_chunks=in_chunks).status_code == 401
        assert asked(guarded, "/predict", right, in_chunks=in_chunks).status_code == 403
    assert guarded.client.post("/event/click", json=CLICK, headers=bearer(right)).status_code == 201
    monkeypatch.setattr("serving.application.health", lambda *_: 1 / 0)
    assert guarded.client.get("/health", headers=bearer(right)).status_code == 500
    own = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert "a request failed" in own
    files = [path for path in guarded.settings.home.rglob("*") if path.is_file()]
    assert {"api_keys.json", "pseudonym.key"} <= {path.name for path in files}
    for key in (right, unknown):
        assert not [text for text in own if key[13:] in text]
        assert not [path for path in files if key[13:].encode() in path.read_bytes()]


def test_a_file_of_keys_that_cannot_be_read_is_told_and_the_keys_in_use_stay(
    guarded: Any, keys: dict[str, str], waiting: Callable[..., Any]
) -> None:
    whole = guarded.settings.api_keys.read_bytes()
    guarded.settings.api_keys.write_bytes(whole[:-20])
    try:
        told = waiting(lambda: (keys := guarded.health()["keys"])["state"] == "error" and keys)
        assert "is damaged" in told["problem"]
        assert asked(guarded, "/predict", keys["predict"], in_chunks=False).status_code == 422
    finally:
        guarded.settings.api_keys.write_bytes(whole)
    waiting(lambda: guarded.health()["keys"] == {"state": "ok", "problem": None})
