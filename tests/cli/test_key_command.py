"""`clicklake key` as a person runs it."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_contracts.api_keys import add, key_ring

COMMAND = [sys.executable, "-c", "from cli.main import main; main()", "key"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "secrets" / "api_keys.json"


@pytest.fixture
def key(tmp_path: Path) -> Run:
    environ = {**os.environ, "CLICKLAKE_HOME": str(tmp_path / "home")}
    environ.pop("CLICKLAKE_CONF", None)

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*COMMAND, *words], env=environ, capture_output=True, text=True, check=False)

    return run


def test_a_new_key_is_alone_on_stdout_and_nowhere_else(key: Run, file: Path, tmp_path: Path) -> None:
    ended = key("add", "--role", "predict", "--role", "ingest", "--name", "shop")
    text = ended.stdout.removesuffix("\n")
    assert key_ring(file).roles_of(text, datetime.now(UTC) + timedelta(days=10_000)) == {"predict", "ingest"}
    assert ended.stderr.splitlines() == [
        "this is the only time it is shown: keep it where secrets are kept",
        'conf\'s serving.access is "open": nobody is asked for a key',
    ]
    assert ended.returncode == 0
    shown = key("list").stdout
    secret = text[13:]
    assert secret not in ended.stderr + shown
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_text()]


def test_days_say_how_long_a_key_holds(key: Run, file: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    text = key("add", "--role", "admin", "--days", "3").stdout.strip()
    ring = key_ring(file)
    assert ring.roles_of(text, before + timedelta(days=3)) is not None
    assert ring.roles_of(text, datetime.now(UTC) + timedelta(days=3)) is None


def test_the_list_shows_each_key_and_no_hash(key: Run, file: Path) -> None:
    assert key("list").stdout == "no key yet: `clicklake key add` makes one\n"
    made, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    old = add(file, ["predict", "ingest"], "[bold]shop", made, end)[4:12]
    new = add(file, ["admin"], "", made)[4:12]
    head, *lines = [line.split() for line in key("list").stdout.splitlines()]
    assert head == ["id", "name", "roles", "created", "expires"]
    created = "2026-01-01T00:00:00+00:00"
    assert lines == [
        [old, "[bold]shop", "ingest,", "predict", created, "2026-01-02T00:00:00+00:00", "(expired)"],
        [new, "admin", created, "never"],
    ]


def test_a_removed_key_is_gone_and_an_unknown_one_is_an_error(key: Run, file: Path) -> None:
    text = add(file, ["predict"], "", datetime.now(UTC))
    id_ = text[4:12]
    assert key("remove", id_).stdout == f"key {id_} is removed\n"
    assert key_ring(file).keys == {}
    for unknown in (id_, text):
        ended = key("remove", unknown)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == "clicklake: there is no key with this id\n"


def test_a_wrong_role_is_one_line_that_names_the_roles(key: Run, file: Path) -> None:
    ended = key("add", "--role", "root")
    assert (ended.returncode, ended.stdout) == (2, "")
    roles = "predict, ingest, analytics, model:upload, model:activate, privacy, admin"
    assert ended.stderr == f"clicklake: a key has one or more of the roles {roles}\n"
    assert not file.exists()


def test_a_damaged_file_is_one_line(key: Run, file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text("{")
    for words in (["list"], ["remove", "x"], ["add", "--role", "predict"]):
        ended = key(*words)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith(f"clicklake: {file} is damaged (")
        assert ended.stderr.count("\n") == 1
