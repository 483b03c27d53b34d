"""The keys in use, and what becomes of them while serving runs."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from data_contracts.api_keys import KeyRing, add, remove
from data_contracts.settings import Settings
from serving.access import Access
from serving.problems import ProblemError


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    with Path(environ["CLICKLAKE_CONF"]).open("a") as overlay:
        overlay.write('access = "keys"\n')
    return environ


def new_key(settings: Settings, *roles: str, seconds: float | None = None) -> str:
    now = datetime.now(UTC)
    return add(settings.api_keys, roles, "", now, now + timedelta(seconds=seconds) if seconds is not None else None)


def refused(access: Access, key: str, role: str = "predict") -> int | None:
    try:
        access.check(role, f"Bearer {key}".encode())
    except ProblemError as error:
        return error.status
    return None


def test_a_key_that_was_taken_is_refused_from_its_end_on(settings: Settings, waiting: Callable[..., Any]) -> None:
    key = new_key(settings, "predict", seconds=0.5)
    access = Access(settings)
    assert refused(access, key) is None
    waiting(lambda: refused(access, key) == 401)


def test_a_key_that_is_removed_while_it_is_looked_up_is_not_remembered(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(settings, "predict")
    access, find = Access(settings), KeyRing.find

    def found_late(ring: KeyRing, text: str) -> Any:
        found = find(ring, text)
        remove(settings.api_keys, key[4:12])
        access.reload()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(KeyRing, "find", found_late)
        assert refused(access, key) is None
    assert refused(access, key) == 401


def test_a_damaged_file_leaves_the_keys_as_they_were_and_is_told_once(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    key = new_key(settings, "predict")
    access, whole = Access(settings), settings.api_keys.read_text()
    settings.api_keys.write_text("{")
    for _ in range(2):
        access.reload()
        assert refused(access, key) is None
    assert access.problem.startswith(f"{settings.api_keys} is damaged (")
    assert [record.getMessage() for record in caplog.records] == [f"the keys stay as they were: {access.problem}"]
    settings.api_keys.write_text(whole)
    access.reload()
    assert (refused(access, key), access.problem) == (None, "")
    settings.api_keys.unlink()
    access.reload()
    assert (refused(access, key), access.problem) == (401, "")


def test_a_damaged_file_ends_a_start(settings: Settings) -> None:
    settings.api_keys.parent.mkdir(parents=True)
    settings.api_keys.write_text("{")
    with pytest.raises(ValueError, match=r"api_keys\.json is damaged"):
        Access(settings)


def test_open_access_asks_nobody_and_reads_no_file(settings: Settings) -> None:
    settings.api_keys.parent.mkdir(parents=True)
    settings.api_keys.write_text("{")
    access = Access(replace(settings, serving=replace(settings.serving, access="open")))
    access.reload()
    assert (refused(access, "nonsense", "admin"), access.problem) == (None, "")
    assert access.refusal("predict", None) is None


def test_with_a_model_scores_take_a_key_and_liveness_does_not(served: Any) -> None:
    sent = {"authorization": f"Bearer {new_key(served.settings, 'predict')}"}
    served.application.access.reload()
    rows = {"dataframe_records": [{"nonsense": 1}]}
    assert [served.client.get(path).status_code for path in ("/ping", "/version")] == [200, 200]
    assert served.client.post("/invocations", json=rows).status_code == 401
    assert served.client.post("/invocations", json=rows, headers=sent).status_code == 400
    assert served.client.get("/model/active", headers=sent).json()["version"] == "1"
    body = {"user_id": "u-1", "ad_id": "shoes"}
    assert served.client.post("/predict", json=body).status_code == 401
    assert served.logged() == []
    assert served.client.post("/predict", json=body, headers=sent).json()["source"] == "model"
