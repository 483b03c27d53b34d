"""Staleness: where models end, what each is tested on, and that a market that moves is seen to move."""

import csv
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from data_contracts.feature_set_files import feature_set_path, load_feature_set
from data_contracts.labels import DAY, HOUR
from data_contracts.settings import Settings
from ml import staleness
from ml.splits import SliceError
from ml.staging import TrainingSet
from ml.staleness import Aged, by_age, draw_staleness, train_ends
from tests.ml import learnable_market as market

FIRST, SECOND = market.FIRST_AS_OF.isoformat(), market.SECOND_AS_OF.isoformat()


def moving_market(days: int, rows_a_day: int, drift: float) -> TrainingSet:
    """Clicks at log-odds of the first of 12 features - 2, and `drift` more each day."""
    random = np.random.default_rng(1)
    size = days * rows_a_day
    features = random.normal(size=(size, 12)).astype(np.float32)
    timestamps = np.arange(size) * (DAY / rows_a_day)
    log_odds = features[:, 0] - 2 + drift * (timestamps // DAY)
    labels = (random.random(size) < 1 / (1 + np.exp(-log_odds))).astype(np.int8)
    return TrainingSet(features, labels, timestamps, np.zeros(size, np.uint32), "")


def aged_after(settings: Settings, training_set: TrainingSet, train_end: int, end: int) -> list[Aged]:
    feature_set = load_feature_set(feature_set_path("tests/small_features.py"))
    found = staleness.tested(training_set, feature_set, settings.training, train_end * DAY, end * DAY)
    return list(found)


def test_models_end_from_the_first_day_that_can_be_trained_on_to_the_last_that_can_be_tested(
    settings: Settings,
) -> None:
    ends = [round(end / DAY) for end in train_ends(0.0, 8.0 * DAY, settings.training)]
    assert ends == [3, 4, 5, 6]
    many = [round(end / DAY) for end in train_ends(0.0, 34.0 * DAY, settings.training)]
    assert many == [3, 8, 13, 18, 22, 27, 32]


def test_too_few_days_are_refused_with_what_is_needed(settings: Settings) -> None:
    assert train_ends(0.0, 5.0 * DAY, settings.training) == [3.0 * DAY]
    with pytest.raises(SliceError, match=r"covers 4\.96 days; a staleness report needs at least 5\.00: 3\.00 to train"):
        train_ends(float(HOUR), 5.0 * DAY, settings.training)


def test_each_model_is_tested_on_the_seven_days_after_it_as_far_as_there_are_rows(settings: Settings) -> None:
    training_set = moving_market(days=12, rows_a_day=500, drift=0.0)
    early, late = (aged_after(settings, training_set, end, 12) for end in (3, 10))
    assert [each.age_days for each in early] == [1, 2, 3, 4, 5, 6, 7]
    assert [each.age_days for each in late] == [1, 2]
    assert {each.rows for each in early} == {500}
    assert [each.clicks for each in early] == [
        int(training_set.labels[day * 500 :][:500].sum()) for day in range(3, 10)
    ]
    assert {each.trained_through for each in early} == {"1970-01-04T00:00:00Z"}


def test_a_market_that_moves_leaves_a_model_behind_and_one_that_stands_still_does_not(settings: Settings) -> None:
    moved = aged_after(settings, moving_market(days=10, rows_a_day=2000, drift=0.2), 3, 10)
    stood = aged_after(settings, moving_market(days=10, rows_a_day=2000, drift=0.0), 3, 10)
    assert moved[6].calibration_ratio < 0.7 < 0.8 < moved[0].calibration_ratio
    assert moved[6].normalized_entropy > moved[0].normalized_entropy + 0.03
    assert all(0.85 < each.calibration_ratio < 1.15 for each in stood)


def test_means_count_each_model_once() -> None:
    found = [
        Aged("a", 1, 900, 9, 0.1, 0.9, 1.0, 0.7),
        Aged("b", 1, 100, 1, 0.1, 0.7, 1.2, 0.7),
        Aged("a", 2, 900, 9, 0.1, 0.8, 0.5, 0.7),
    ]
    assert by_age(found) == {
        1: {"normalized_entropy": pytest.approx(0.8), "calibration_ratio": pytest.approx(1.1), "models": 2},
        2: {"normalized_entropy": 0.8, "calibration_ratio": 0.5, "models": 1},
    }


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    found = [Aged("a", age, 900, 9, 0.1, 0.9, 1.0, 0.7) for age in (1, 2)]
    draw_staleness(found, "ad_ctr by age", tmp_path / "staleness.png")
    assert (tmp_path / "staleness.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_is_a_run_of_its_own_and_registers_nothing(
    store: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert staleness.main(["--as-of", SECOND]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "1 models by age"
    assert [line.split()[:2] for line in said[2:]] == [["1", "1"], ["2", "1"]]
    experiment = store.get_experiment_by_name("ad_ctr")
    run, *_ = store.search_runs([experiment.experiment_id], "tags.report = 'staleness'")
    assert run.info.status == "FINISHED"
    assert {file.path for file in store.list_artifacts(run.info.run_id)} == {"staleness.csv", "staleness.png"}
    with Path(store.download_artifacts(run.info.run_id, "staleness.csv", str(tmp_path))).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["trained_through"], row["age_days"], row["rows"]) for row in rows] == [
        ("2026-01-04T00:00:00Z", "1", "1500"),
        ("2026-01-04T00:00:00Z", "2", "1500"),
    ]
    assert run.data.metrics["day_2_calibration_ratio"] == pytest.approx(float(rows[1]["calibration_ratio"]))
    assert store.search_registered_models() == []


def test_a_training_set_of_too_few_days_is_an_error_of_one_line(
    store: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert staleness.main(["--as-of", FIRST]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: the training set covers 4.00 days; a staleness report needs at least 5.00")
    assert said.count("\n") == 1
