"""The search for parameters: conf's own first, within its bounds, repeatable, and never worse on the stop rows."""

import time
from dataclasses import replace

import pytest

from data_contracts.sections import Training
from data_contracts.settings import Settings
from ml import search
from ml.search import KNOBS, searched
from ml.trees import Matrices, fitted_trees, least_log_loss, matrices
from tests.ml.test_trees import FREE, STOP, TRAIN, learnable


@pytest.fixture(scope="module")
def rows() -> Matrices:
    return matrices(learnable(4000), TRAIN, STOP, keep_rate=1.0)


@pytest.fixture
def training(settings: Settings) -> Training:
    return replace(settings.training, rounds=15)


def test_confs_own_parameters_are_trial_0_and_the_least_log_loss_wins(rows: Matrices, training: Training) -> None:
    found, trials = searched(rows, training, FREE, trials=5, seconds=600)
    assert len(trials) == 6
    assert trials[0].knobs == {name: getattr(training, name) for name in KNOBS}
    best = min(trials, key=lambda trial: trial.log_loss)
    assert best.log_loss < trials[0].log_loss
    assert found == replace(training, **best.knobs)
    assert least_log_loss(fitted_trees(rows, found, FREE), rows) == best.log_loss


def test_confs_own_parameters_stay_where_nothing_better_is_found(
    rows: Matrices, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    useless = {"learning_rate": 0.0001, "max_depth": 1}
    monkeypatch.setattr(search, "proposed", lambda proposal: useless)
    assert searched(rows, training, FREE, trials=1, seconds=600)[0] == training


def test_the_same_seed_makes_the_same_proposals_within_bounds(rows: Matrices, training: Training) -> None:
    first, again = (searched(rows, training, FREE, trials=4, seconds=600)[1] for _ in range(2))
    assert [trial.knobs for trial in first] == [trial.knobs for trial in again]
    assert len({str(trial.knobs) for trial in first}) == 5
    for trial in first[1:]:
        assert replace(training, **trial.knobs)  # conf's own checks
        assert 2 <= trial.knobs["max_depth"] <= 8


def test_no_trial_begins_after_the_time_is_over(
    rows: Matrices, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = search._tried

    def slow(*given):  # type: ignore[no-untyped-def]
        time.sleep(0.3)
        return tried(*given)

    monkeypatch.setattr(search, "_tried", slow)
    assert len(searched(rows, training, FREE, trials=5, seconds=0.1)[1]) == 2
