"""A booster from elsewhere, made a version on a real lake and judged by the gate."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import xgboost
from mlflow import MlflowClient

from data_contracts import registry
from data_contracts.known_features import keep
from data_contracts.settings import load
from ml import adopt, evaluate
from tests.ml import learnable_market as market
from tests.ml.learnable_market import Laboratory

SECOND = market.SECOND_AS_OF
LONG_AGO = "2026-01-01T00:00:00Z"


@pytest.fixture
def booster(laboratory: Laboratory, store: MlflowClient, tmp_path: Path) -> Path:
    """Trees that were trained on the rows of the first training set; their feature set is known."""
    keep(laboratory.settings, market.feature_set())
    laboratory.model.trees.save_model(tmp_path / "model.json")
    return tmp_path / "model.json"


def adopted(file: Path, through: str = LONG_AGO, digest: str = market.feature_set().hash) -> int:
    return adopt.main([str(file), "--feature-set", digest, "--trained-through", through, "--uploaded-by", "key 7"])


def test_a_booster_becomes_a_version_that_is_calibrated_and_judged(
    booster: Path, laboratory: Laboratory, capsys: Any
) -> None:
    assert adopted(booster) == 0
    assert capsys.readouterr().out == "version 1 of ad_ctr was uploaded; it is calibrated and waits for its verdict\n"
    version = registry.version(load(), "1")
    assert (version.tags["as_of"], version.tags["uploaded_by"]) == (SECOND.isoformat(), "key 7")
    assert version.aliases == ()
    assert version.metrics["calibration_calibration_ratio"] == pytest.approx(1.0, abs=0.02)
    assert evaluate.main(["--as-of", SECOND.isoformat(), "--version", "1"]) == 0
    verdict = registry.version(load(), "1").verdict
    assert verdict is not None
    assert verdict.outcome == "promote"
    assert verdict.evidence["challenger_version"] == "1"


def test_the_same_booster_is_registered_once(booster: Path, capsys: Any) -> None:
    assert (adopted(booster), adopted(booster)) == (0, 0)
    assert capsys.readouterr().out.endswith("version 1 of ad_ctr is this very model\n")
    assert len(registry.versions(load())) == 1


def test_one_that_has_seen_the_holdout_is_not_comparable(booster: Path) -> None:
    assert adopted(booster, SECOND.isoformat()) == 0
    assert registry.version(load(), "1").tags["trained_through"] == SECOND.isoformat()
    evaluate.main(["--as-of", SECOND.isoformat(), "--version", "1"])
    verdict = registry.version(load(), "1").verdict
    assert verdict is not None
    assert verdict.outcome == "not_comparable"
    assert verdict.reasons[0].startswith("challenger version 1 has seen data up to")


def test_what_it_states_to_have_seen_is_never_less_than_its_calibration(booster: Path) -> None:
    adopted(booster)
    seen = datetime.fromisoformat(registry.version(load(), "1").tags["trained_through"])
    assert seen == datetime.fromtimestamp(market.training_slices(load(), SECOND)["calibration"].end, UTC)


def test_a_booster_upside_down_is_refused(booster: Path, laboratory: Laboratory, tmp_path: Path) -> None:
    rows = laboratory.training_set
    given = xgboost.DMatrix(rows.features[:], label=1 - rows.labels[:])
    xgboost.train({"objective": "binary:logistic", "max_depth": 3}, given, 20).save_model(tmp_path / "inverted.ubj")
    adopted(tmp_path / "inverted.ubj")
    evaluate.main(["--as-of", SECOND.isoformat(), "--version", "1"])
    verdict = registry.version(load(), "1").verdict
    assert verdict is not None
    assert verdict.outcome == "refuse"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"digest": "0" * 64}, "error: no training set was ever built of feature set 0000000000000000"),
        ({"through": "yesterday"}, "yesterday"),
    ],
)
def test_what_cannot_be_adopted_is_said_in_a_line(
    booster: Path, arguments: dict[str, str], words: str, capsys: Any
) -> None:
    try:
        assert adopted(booster, **arguments) == 1
    except SystemExit as end:
        assert end.code == 2
    assert words in capsys.readouterr().err
    assert registry.versions(load()) == []


def test_another_version_is_judged_while_the_challenger_stays(booster: Path, add_version: Callable[..., str]) -> None:
    add_version("good", SECOND, "challenger")
    adopted(booster)
    assert evaluate.main(["--as-of", SECOND.isoformat(), "--version", "2"]) == 0
    assert registry.aliases(load()) == {"challenger": "1"}
    challenger = registry.challenger(load())
    assert challenger is not None
    assert challenger.verdict is None
