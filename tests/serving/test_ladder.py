"""Each rung of the ladder answers when the part that the one above rests on is broken."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from data_contracts.prior import prior_ctr
from data_contracts.settings import Settings
from tests.serving.conftest import Served, running, wait_for

ONE = {"user_id": "u", "ad_id": "shoes"}
SLATE = {"user_id": "u", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats", "features": {"position": 13}}]}
IN_SLOT_13 = {"user_id": "u", "ad_id": "hats", "features": {"position": 13}}


@pytest.fixture
def copied(settings: Settings, publish: Callable[..., Path], registry: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of serving's copies, with version 2 as champion and 1 as previous; MLflow is gone since."""
    publish()
    registry.promote(1, "previous")
    registry.promote(2)
    with serving(settings) as served:
        wait_for(lambda: served.application.models.in_use.previous)
        assert served.predict(ONE)["model_version"] == "2"
        wait_for((settings.home / "serving" / "models" / "aliases.json").exists)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    return settings.home / "serving" / "models"


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    with running(settings) as served:
        wait_for(lambda: served.application.models.problem != "not looked for yet")
        wait_for(lambda: served.application.snapshots.problem != "not looked for yet")
        yield served


def spoilt(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_without_mlflow_serving_starts_from_its_own_copies(settings: Settings, copied: Path) -> None:
    with serving(settings) as served:
        wait_for(lambda: served.application.models.current)
        answer = served.predict(ONE)
        assert (answer["source"], answer["model_version"]) == ("model", "2")
        wait_for(lambda: served.application.models.in_use.previous)
        told = served.client.get("/model/active").json()
        assert (told["version"], told["registry"]) == ("2", "unreachable")
        assert told["metrics"]["holdout_normalized_entropy"] == 0.99


@pytest.mark.parametrize("file", ["model/MLmodel", "model/artifacts/traits.json", "version.json"])
def test_a_copy_that_is_not_as_it_was_written_is_not_loaded(settings: Settings, copied: Path, file: str) -> None:
    spoilt(copied / "2" / file)
    with serving(settings) as served:
        wait_for(lambda: served.application.models.in_use.previous)
        answer = served.predict(ONE)
        assert (answer["source"], answer["model_version"]) == ("previous_model", "1")
        assert "the copy of version 2 is damaged" in served.health()["model"]["problem"]
        assert not (copied / "2").exists()


def test_a_damaged_copy_is_fetched_again_where_mlflow_answers(
    settings: Settings, copied: Path, registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt(copied / "2" / "model" / "MLmodel")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    with serving(settings) as served:
        wait_for(lambda: served.predict(ONE)["model_version"] == "2")
    assert (copied / "2" / "model" / "MLmodel").exists()


def test_copies_that_are_gone_leave_the_prior_and_the_reason(settings: Settings, copied: Path) -> None:
    for version in ("1", "2"):
        shutil.rmtree(copied / version)
    with serving(settings) as served:
        wait_for(lambda: served.application.models.refused)
        assert served.predict(ONE)["source"] == "prior"
        assert served.health()["model"]["problem"] == "version 2 cannot be used: there is no copy of version 2"


def test_what_the_champion_cannot_score_the_version_before_it_does(
    settings: Settings, publish: Callable[..., Path], registry: Any
) -> None:
    publish()
    registry.promote(1)
    with serving(settings) as served:
        wait_for(lambda: served.application.models.current)
        alone = [served.predict({"user_id": "u", **ad})["probability"] for ad in SLATE["ads"]]  # type: ignore[dict-item]
        registry.promote(1, "previous")
        registry.promote(5)
        wait_for(lambda: served.health()["model"]["version"] == "5" and served.application.models.in_use.previous)
        assert served.predict(ONE)["source"] == "model"
        answer = served.predict(SLATE)
        assert (answer["source"], answer["model_version"]) == ("previous_model", "1")
        assert [each["probability"] for each in answer["predictions"]] == alone
        assert {row["source"] for row in served.logged()[-2:]} == {"previous_model"}
        registry.promote(None, "previous")
        wait_for(lambda: served.application.models.in_use.previous is None)
        assert served.predict(IN_SLOT_13)["source"] == "prior"


def test_without_any_counts_the_prior_of_the_bundle_answers(settings: Settings, registry: Any) -> None:
    registry.promote(2)
    with serving(settings) as served:
        wait_for(lambda: served.application.models.current)
        answer = served.predict({"user_id": "u", "ads": [{"ad_id": "shoes"}, {"ad_id": "never seen"}]})
        assert (answer["source"], answer["model_version"], answer["counts_as_of"]) == ("prior", "none", None)
        spring = (30 + 0.01 * 100) / (1000 + 100)
        assert [each["probability"] for each in answer["predictions"]] == [
            (20 + spring * 100) / (200 + 100),
            (0 + 0.01 * 100) / (0 + 100),
        ]
        for row, each in zip(served.logged(), answer["predictions"], strict=True):
            assert prior_ctr(row["features"]) == row["probability"] == each["probability"]
            assert row["counts_as_of"] is None
        assert served.health()["status"] == "degraded"
