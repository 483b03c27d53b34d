"""Every row of statuses.toml, sent byte by byte to serving over real HTTP."""

import http.client
import json
import socket
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

FILE = tomllib.loads(Path(__file__).with_name("statuses.toml").read_text())
CASES = [(path, row) for row in FILE["row"] for path in FILE["paths"][row["to"]]]
LONG_FILLS = {
    "MANY": lambda count: ",".join(f'"{number}": 1' for number in range(count)),
    "MANY_LONG": lambda count: ",".join(f'"{number}": "{"x" * 250}"' for number in range(count)),
}


class Ids:
    """Stand in for ID and OTHER of one row."""

    def __init__(self) -> None:
        self.texts = {"ID": str(uuid.uuid4()), "OTHER": str(uuid.uuid4())}

    def filled(self, value: Any) -> Any:
        return json.loads(self.text(json.dumps(value)))

    def text(self, text: str) -> str:
        return text.replace('"ID"', f'"{self.texts["ID"]}"').replace('"OTHER"', f'"{self.texts["OTHER"]}"')


def event(path: str, change: Mapping[str, Any], without: list[str]) -> dict[str, Any]:
    """The good event of `path` with a row's changes; `id` stands for whatever its id is called."""
    good = dict(FILE["good"][path])
    (key,) = [name for name, value in good.items() if value == "ID"] or [""]
    changed = good | {key if name == "id" else name: value for name, value in change.items()}
    return {name: value for name, value in changed.items() if name not in without}


def body(path: str, row: Mapping[str, Any]) -> bytes:
    without = row.get("without", [])
    if "hex" in row:
        return bytes.fromhex(row["hex"])
    if "items" in row:
        return json.dumps([event(path, item, without) for item in row["items"]]).encode()
    good = json.dumps(event(path, row.get("change", {}), without))
    text = row.get("body", "GOOD").replace("GOOD_WITHOUT_END", good[:-1])
    return (text if text == '"GOOD"' else text.replace("GOOD", good)).encode() * row.get("times", 1)


def filled(content: bytes, row: Mapping[str, Any]) -> bytes:
    """`content` with each name of the row's `fill` as many times as it says: `with` the first, `and` the second."""
    fill = dict(row.get("fill", {}))
    texts = iter([fill.pop("with", "x"), fill.pop("and", "x")])
    for name, count in fill.items():
        long = LONG_FILLS[name](count) if name in LONG_FILLS else next(texts) * count
        content = content.replace(name.encode(), long.encode())
    return content


def request(path: str, row: Mapping[str, Any], content: bytes) -> bytes:
    if "raw" in row:
        return row["raw"].encode()
    line = f"{row.get('method', 'POST')} {row.get('target', path)} {row.get('version', 'HTTP/1.1')}"
    length = {"transfer-encoding": "chunked"} if "chunked" in row else {"content-length": str(len(content))}
    headers = {"host": "x", "content-type": "application/json", **length, **row.get("headers", {})}
    if "announced" in row:
        headers["content-length"], content = str(row["announced"]), b""
    if "chunked" in row:
        content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    return f"{line}\r\n{head}\r\n".encode() + content


@pytest.fixture
def connection(degraded: Any) -> Iterator[socket.socket]:
    address = ("127.0.0.1", degraded.settings.services.serving_port)
    with closing(socket.create_connection(address, timeout=20)) as connected:
        yield connected


def answered(connection: socket.socket, content: bytes) -> tuple[http.client.HTTPResponse, Any]:
    connection.sendall(content)
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response, json.loads(response.read())


@pytest.mark.parametrize(("path", "row"), CASES, ids=[f"{path} {row['says']}" for path, row in CASES])
def test_each_row_of_the_file_is_answered_with_its_status(
    connection: socket.socket, path: str, row: dict[str, Any]
) -> None:
    ids = Ids()
    for before in row.get("before", []):
        first = json.dumps(event(path, before, []))
        response, _ = answered(connection, request(path, {}, ids.text(first).encode()))
        assert response.status == 201
    content = filled(ids.text(body(path, row).decode()).encode() if "hex" not in row else body(path, row), row)
    response, told = answered(connection, filled(request(path, row, content), row))
    assert response.status == row["status"], told
    is_problem = response.headers["content-type"] == "application/problem+json"
    assert is_problem == (response.status >= 400 and not isinstance(told, list))
    assert (told["type"] if is_problem else None) == row.get("type", "invalid_request" if is_problem else None)
    if "errors" in row:
        items = told if isinstance(told, list) else [told]
        assert [f"{error['loc']}: {error['code']}" for item in items for error in item["errors"]] == row["errors"]
    if "answer" in row:
        assert without_null_ids(told) == ids.filled(row["answer"])
    for name, value in row.get("with", {}).items():
        assert response.headers[name] == value
    if not response.will_close:
        health, _ = answered(connection, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert health.status == 200


def without_null_ids(told: Any) -> Any:
    if isinstance(told, list):
        return [without_null_ids(item) for item in told]
    return {name: value for name, value in told.items() if (name, value) != ("id", None)}
