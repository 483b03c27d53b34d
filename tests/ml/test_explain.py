"""An explanation asks the very version on the very inputs, and its parts add up."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from mlflow import MlflowClient

from data_contracts import registry
from data_contracts.calibration import Beta
from data_contracts.lake import open_lake
from data_contracts.settings import Settings, load
from data_contracts.tables import MODEL_PREDICTIONS
from ml import explain
from ml.explain import Contribution, ExplanationError, explained
from tests.ml import learnable_market as market

AT = datetime(2026, 1, 6, 2, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path, store: MlflowClient) -> Settings:
    """A home of its own, and the laboratory's store."""
    return load({"CLICKLAKE_HOME": str(tmp_path / "home"), "CLICKLAKE_CONF": str(market.TEST_CONF)})


@pytest.fixture
def log_prediction(settings: Settings) -> Callable[..., None]:
    """Puts a row into model_predictions, as serving logs it."""

    def log(**columns: Any) -> None:
        schema = open_lake(settings).sql(f"FROM {MODEL_PREDICTIONS.name}").to_arrow_table().schema
        row = {
            "prediction_id": "p-1", "impression_id": "i-1", "user_id": "u", "ad_id": "ad-7", "model_version": "1",
            "predicted_at": AT, "received_at": AT, "date": AT.date(), "source": "model", "origin": "serving-0/1:1",
            "feature_set_hash": market.feature_set().hash, "experiment": "none", "variant": "none",
        } | columns  # fmt: skip
        table = pa.Table.from_pylist([row], schema)
        write_deltalake(settings.lake / MODEL_PREDICTIONS.name, table, mode="append", partition_by=["date"])

    return log


def inputs(ctr: float, position: int = 1) -> dict[str, float]:
    return {"position": float(position), "timestamp": AT.timestamp(), **market.counts(ctr, position)}


def scored(row: dict[str, float]) -> float:
    """By the registered pyfunc itself."""
    from ml.evaluate import loaded

    (probability,) = loaded(registry.version(load(), "1")).unwrap_python_model().probabilities([row])
    return float(probability)


def test_the_parts_add_up_to_the_probability_which_is_reproduced(settings, add_version, log_prediction):
    add_version("good", market.FIRST_AS_OF, "champion")
    row = inputs(0.2)
    log_prediction(features=list(row.items()), probability=scored(row))
    found = explained(settings, "p-1")
    log_odds = found.base + sum(each.log_odds for each in found.contributions)
    assert 1 / (1 + math.exp(-log_odds)) == pytest.approx(found.prediction["probability"], rel=1e-5)
    assert found.is_reproduced
    assert found.version.version == "1"


def test_behind_a_curved_calibration_the_parts_add_up_to_the_margin_and_say_so(
    settings, add_version, log_prediction, monkeypatch
):
    add_version("good", market.FIRST_AS_OF, "champion")
    log_prediction(features=list(inputs(0.2).items()), probability=0.5)
    straight = explained(settings, "p-1")
    model_of, curved = explain.model_of, Beta(1.3, 0.9, 0.2)
    monkeypatch.setattr(explain, "model_of", lambda version: replace(model_of(version), calibration=curved))
    found = explained(settings, "p-1")
    margin = found.base + sum(each.log_odds for each in found.contributions)
    assert curved.probability(margin) == pytest.approx(found.probability, rel=1e-5)
    assert all(" before calibration by " in each.words for each in found.contributions if abs(each.log_odds) > 0.001)
    assert not any("before calibration" in each.words for each in straight.contributions)


def test_what_an_ad_got_so_far_is_what_tells(settings, add_version, log_prediction):
    """The market's CTR depends on the ad alone: a good ad's counts raise the odds, a bad one's lower them."""
    add_version("good", market.FIRST_AS_OF, "champion")
    for name, ctr in (("good", 0.2), ("bad", 0.02)):
        log_prediction(prediction_id=name, features=list(inputs(ctr).items()), probability=0.5)
    found = [explained(settings, name) for name in ("good", "bad")]
    assert [each.prediction["prediction_id"] for each in found] == ["good", "bad"]
    good, bad = (each.contributions for each in found)
    assert good[0].feature.startswith("ad_")
    assert sum(each.log_odds for each in good) > 0.3
    assert sum(each.log_odds for each in bad) < -0.3
    assert [abs(each.log_odds) for each in good] == sorted((abs(each.log_odds) for each in good), reverse=True)
    values = dict(zip(market.feature_set().feature_names, market.feature_set().row(inputs(0.2)), strict=True))
    assert {each.feature: pytest.approx(each.value, rel=1e-6) for each in good} == values
    assert next(each for each in good if each.feature == "ad_ctr_7d").about == "Smoothed CTR of the ad over a week."


def test_a_logged_probability_that_the_model_does_not_give_is_told(settings, add_version, log_prediction):
    add_version("good", market.FIRST_AS_OF, "champion")
    log_prediction(features=list(inputs(0.2).items()), probability=0.123)
    found = explained(settings, "p-1")
    assert not found.is_reproduced
    assert found.probability == scored(inputs(0.2))


def test_the_version_that_answered_is_asked_not_todays_champion(settings, add_version, log_prediction):
    add_version("good", market.FIRST_AS_OF, "previous")
    add_version("uncalibrated", market.FIRST_AS_OF, "champion")
    log_prediction(features=list(inputs(0.2).items()), probability=scored(inputs(0.2)))
    assert explained(settings, "p-1").is_reproduced


def test_the_prior_has_no_features_to_explain(settings, store, log_prediction):
    log_prediction(source="prior", model_version="none", features=[], probability=0.005)
    found = explained(settings, "p-1")
    assert (found.version, found.contributions, found.data_versions) == (None, (), {})


def test_what_cannot_be_explained_is_said_in_one_line(settings, add_version, log_prediction):
    with pytest.raises(ExplanationError, match=r"holds no prediction_id p-1: .* next run of ingest_events"):
        explained(settings, "p-1")
    add_version("other features", market.FIRST_AS_OF, "champion")
    log_prediction(features=list(inputs(0.2).items()), probability=0.5)
    with pytest.raises(
        ExplanationError, match=r"version 1 has other feature definitions \(\w{16}\) than the prediction"
    ):
        explained(settings, "p-1")
    log_prediction(prediction_id="p-2", model_version="9", features=list(inputs(0.2).items()), probability=0.5)
    with pytest.raises(registry.RegistryError, match="has no version 9"):
        explained(settings, "p-2")


def test_a_model_that_is_none_of_ours_is_refused_by_name(settings, add_version, log_prediction):
    add_version("class labels", market.FIRST_AS_OF, "champion")
    log_prediction(features=list(inputs(0.2).items()), probability=0.5)
    with pytest.raises(ExplanationError, match="version 1 has no booster, calibration: it is none of ours"):
        explained(settings, "p-1")


@pytest.mark.parametrize("damaged", ["model.ubj", "calibration.json", "MLmodel"])
def test_artifacts_that_are_damaged_are_one_line(settings, add_version, log_prediction, monkeypatch, damaged):
    add_version("good", market.FIRST_AS_OF, "champion")
    log_prediction(features=list(inputs(0.2).items()), probability=0.5)
    download = explain.mlflow.artifacts.download_artifacts

    def damaged_download(**asked: Any) -> str:
        folder = download(**asked)
        (file,) = Path(folder).rglob(damaged)
        file.write_bytes(b"{")
        return folder

    monkeypatch.setattr(explain.mlflow.artifacts, "download_artifacts", damaged_download)
    with pytest.raises(ExplanationError, match="version 1 cannot be loaded: ") as raised:
        explained(settings, "p-1")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("log_odds", "words"),
    [
        (math.log(1.2), "raises the odds by 20.0%"),
        (math.log(0.5), "lowers the odds by 50.0%"),
        (0.0001, "makes no difference"),
    ],
)
def test_a_contribution_is_a_reason_in_plain_words(log_odds, words):
    assert Contribution("ad_ctr_7d", "", 0.1, log_odds).words == words


def test_explaining_leaves_no_files(settings, add_version, log_prediction, tmp_path, monkeypatch):
    add_version("good", market.FIRST_AS_OF, "champion")
    log_prediction(features=list(inputs(0.2).items()), probability=0.5)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(explain.tempfile, "tempdir", str(tmp_path / "tmp"))
    explained(settings, "p-1")
    assert list((tmp_path / "tmp").iterdir()) == []
