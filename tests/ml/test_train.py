"""Training from the shell: what the run and the version hold, and that it can be run again."""

import csv
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import mlflow
import pytest
import xgboost
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from data_contracts import registry
from data_contracts.features import training_set_id
from data_contracts.settings import load
from ml import evaluate, promote, train
from ml.fitting import fitted_model
from ml.join_health import JoinHealthError
from ml.splits import rows_by_slice
from tests.ml import learnable_market as market
from tests.ml.learnable_market import Laboratory

FIRST, SECOND = market.FIRST_AS_OF.isoformat(), market.SECOND_AS_OF.isoformat()


@dataclass(frozen=True)
class Trained:
    """What one training left in its store, and what it said."""

    store: MlflowClient
    run: Run
    version: ModelVersion
    said: str


@pytest.fixture(scope="module")
def trained(laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """One training for the tests that only look, in an environment that lasts as long as they do."""
    path = tmp_path_factory.mktemp("trained") / "store.db"
    shutil.copy(laboratory.store, path)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as said:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
        patch.setenv("CLICKLAKE_HOME", str(laboratory.settings.home))
        patch.setenv("CLICKLAKE_CONF", str(market.TEST_CONF))
        assert train.main(["--as-of", FIRST]) == 0
        store = MlflowClient(tracking_uri=f"sqlite:///{path}")
        version = store.get_model_version_by_alias("ad_ctr", "challenger")
        yield Trained(store, store.get_run(version.run_id), version, said.getvalue())


def test_one_run_holds_the_training_whole(trained: Trained, laboratory: Laboratory) -> None:
    metrics, params = trained.run.data.metrics, trained.run.data.params
    names = ("log_loss", "normalized_entropy", "calibration_ratio", "auc", "pr_auc", "rows", "clicks")
    assert set(metrics) == {f"{part}_{name}" for part in ("train", "stop", "calibration", "holdout") for name in names}
    assert metrics["holdout_rows"] == market.IMPRESSIONS_PER_DAY
    assert 0.9 < metrics["holdout_normalized_entropy"] < 0.99
    assert 0.8 < metrics["holdout_calibration_ratio"] < 1.2
    assert params["holdout_slice"] == "[2026-01-04T00:00:00Z, 2026-01-05T00:00:00Z)"
    assert {name: found for name, found in params.items() if name.startswith("data_version.")} == {
        "data_version.ad_impressions": "0",
        "data_version.clicks": "2",
        "data_version.labels": "3",
        "data_version.count_tiles": "4",
        "data_version.training_sets": "1",
    }
    assert params["max_depth"] == "3"
    assert params["objective"] == "binary:logistic"
    assert len(params["git_commit"]) >= 40 or params["git_commit"].startswith("unknown")
    assert int(params["trees"]) == laboratory.model.trees.num_boosted_rounds()
    artifacts = {file.path for file in trained.store.list_artifacts(trained.run.info.run_id)}
    assert {
        "feature_set", "metrics.csv", "reliability.png", "feature_importance.csv", "shap_summary.png",
        "slice_metrics.csv",
    } <= artifacts  # fmt: skip
    assert "calibration_choice.csv" not in artifacts  # too few clicks to choose by


def test_the_tables_of_the_run_are_of_the_holdout(trained: Trained, tmp_path: Path) -> None:
    def table(name: str) -> list[dict[str, str]]:
        path = trained.store.download_artifacts(trained.run.info.run_id, name, str(tmp_path))
        with Path(path).open(newline="") as file:
            return list(csv.DictReader(file))

    gains = table("feature_importance.csv")
    assert {row["feature"] for row in gains} == set(market.feature_set().feature_names)
    assert gains[0]["feature"].startswith("ad_")
    positions = {row["value"]: row for row in table("slice_metrics.csv") if row["column"] == "position"}
    assert set(positions) == {"1", "2", "3"}
    assert sum(float(row["rows"]) for row in positions.values()) == market.IMPRESSIONS_PER_DAY
    clicks = sum(float(row["clicks"]) for row in positions.values())
    assert clicks == trained.run.data.metrics["holdout_clicks"]


def test_trials_are_children_of_the_run_and_the_best_parameters_make_the_model(
    store: MlflowClient, laboratory: Laboratory, tmp_path: Path
) -> None:
    assert train.main(["--as-of", FIRST]) == 0
    assert train.main(["--as-of", FIRST, "--trials", "3"]) == 0
    version = store.get_model_version_by_alias("ad_ctr", "challenger")
    run = store.get_run(version.run_id)
    children = store.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{version.run_id}'", order_by=["start_time"]
    )
    assert [child.info.run_name for child in children] == ["trial 0", "trial 1", "trial 2", "trial 3"]
    best = min(children, key=lambda child: child.data.metrics["stop_log_loss"])
    training, rows = laboratory.settings.training, laboratory.training_set
    found = replace(training, **{name: type(getattr(training, name))(each) for name, each in best.data.params.items()})
    slices = rows_by_slice(
        rows.timestamps, rows.labels, market.training_slices(laboratory.settings, market.FIRST_AS_OF)
    )
    expected = fitted_model(rows, slices, market.feature_set(), found).trees.save_raw("ubj")
    folder = Path(mlflow.artifacts.download_artifacts("models:/ad_ctr/2", dst_path=str(tmp_path))) / "artifacts"
    assert (folder / "model.ubj").read_bytes() == expected != laboratory.model.trees.save_raw("ubj")
    assert {name: run.data.params[name] for name in best.data.params} == best.data.params
    assert best.info.run_name != "trial 0"
    assert str(version.version) == "2"
    assert store.get_model_version("ad_ctr", "1").tags["recipe"] != version.tags["recipe"]


def test_trials_that_find_the_same_again_find_the_version_that_is_there(
    store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert train.main(["--as-of", FIRST, "--trials", "1", "--trial-seconds", "60"]) == 0
    assert "version 1 of ad_ctr was trained from these very rows, settings and code before" in capsys.readouterr().out


def test_the_version_is_tagged_with_what_it_has_seen(trained: Trained, laboratory: Laboratory) -> None:
    tags = trained.version.tags
    assert tags["feature_set_hash"] == market.feature_set().hash
    assert tags["training_set_id"] == training_set_id(market.feature_set().hash, market.FIRST_AS_OF)
    assert tags["training_set_checksum"] == laboratory.training_set.checksum
    assert tags["as_of"] == FIRST
    assert tags["trained_through"] == tags["holdout_start"] == "2026-01-04T00:00:00+00:00"
    assert tags["holdout_end"] == "2026-01-05T00:00:00+00:00"


def test_the_same_rows_give_the_same_model_bytes(trained: Trained, laboratory: Laboratory, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    folder = Path(mlflow.artifacts.download_artifacts("models:/ad_ctr/1", dst_path=str(tmp_path))) / "artifacts"
    files = {"model.ubj", "calibration.json", "prior.json", "small_features.py"}
    assert {path.name for path in folder.iterdir()} == files
    assert (folder / "model.ubj").read_bytes() == laboratory.model.trees.save_raw("ubj")
    assert json.loads((folder / "calibration.json").read_text()) == laboratory.model.calibration.as_dict()
    assert (folder / "small_features.py").read_bytes() == market.feature_set().path.read_bytes()
    booster = xgboost.Booster(model_file=folder / "model.ubj")
    assert booster.num_boosted_rounds() == laboratory.model.trees.num_boosted_rounds()


def test_a_rerun_finds_the_version_that_is_there(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    store = trained.store
    store.delete_registered_model_alias("ad_ctr", "challenger")
    assert train.main(["--as-of", FIRST]) == 0
    assert "version 1 of ad_ctr was trained from these very rows, settings and code before" in capsys.readouterr().out
    assert [str(version.version) for version in store.search_model_versions("name = 'ad_ctr'")] == ["1"]
    assert str(store.get_model_version_by_alias("ad_ctr", "challenger").version) == "1"


def test_the_summary_is_a_table_for_people(trained: Trained) -> None:
    lines = trained.said.splitlines()
    assert lines[0].startswith("version 1 of ad_ctr is the challenger: ")
    assert [line.split()[0] for line in lines[2:]] == ["train", "stop", "calibration", "holdout", "join"]


def test_train_evaluate_promote_twice_over(store: MlflowClient, capsys: pytest.CaptureFixture[str]) -> None:
    for as_of in (FIRST, SECOND):
        for job in (train, evaluate, promote):
            assert job.main(["--as-of", as_of]) == 0
    said = capsys.readouterr().out
    assert "PROMOTED: version 1 of ad_ctr is now the champion" in said
    assert "version 2 of ad_ctr against champion version 1: " in said
    champion = registry.champion(load())
    assert champion is not None
    assert champion.verdict is not None
    for name in ("log_loss", "normalized_entropy", "calibration_ratio", "auc"):
        assert champion.verdict.slices[0][name] == champion.metrics[f"holdout_{name}"]


def test_a_broken_click_stream_stops_the_training_before_anything_is_registered(
    store: MlflowClient, laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> str:
        raise JoinHealthError("the click stream has stalled: 3 clicks")

    monkeypatch.setattr(train, "check_join_health", broken)
    assert train.main(["--as-of", FIRST]) == 1
    assert capsys.readouterr().err == "error: the click stream has stalled: 3 clicks\n"
    assert store.search_model_versions("") == []


def test_a_training_set_not_built_is_an_error_of_one_line(
    store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(["--as-of", "2026-01-20T00:00:00Z"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: training_sets holds no row of ")
    assert said.count("\n") == 1


def test_a_training_that_fails_leaves_a_failed_run_and_no_version(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(train, "log_model", broken)
    with pytest.raises(OSError, match="disk full"):
        train.main(["--as-of", FIRST])
    experiment = store.get_experiment_by_name("ad_ctr")
    newest = store.search_runs([experiment.experiment_id], order_by=["start_time DESC"], max_results=1)[0]
    assert newest.info.status == "FAILED"
    assert not store.search_registered_models()


@pytest.mark.parametrize("asked", ["-1", "2.5", "many"])
def test_trials_are_a_whole_number(capsys: pytest.CaptureFixture[str], asked: str) -> None:
    with pytest.raises(SystemExit):
        train.main(["--as-of", FIRST, f"--trials={asked}"])
    assert f"argument --trials: {asked!r} is not a whole number of at least 0" in capsys.readouterr().err
