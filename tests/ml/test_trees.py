"""The trees: deterministic, only those up to the best iteration, from sampled rows as from all, in known directions."""

from dataclasses import replace

import numpy as np
import pytest
import xgboost

from data_contracts.settings import Settings
from ml import trees as trees_module
from ml.splits import SliceError
from ml.staging import TrainingSet
from ml.trees import fitted_trees, least_log_loss, margins, matrices, tree_parameters

FREE = (0, 0, 0)
TRAIN, STOP = slice(0, 3000), slice(3000, 4000)


def learnable(size: int, seed: int = 1) -> TrainingSet:
    """Clicks at log-odds of the first feature - 2."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(size, 3)).astype(np.float32)
    clicked = random.random(size) < 1 / (1 + np.exp(2 - features[:, 0]))
    hashes = random.integers(0, 2**32, size, dtype=np.uint32)
    return TrainingSet(features, clicked.astype(np.int8), np.arange(size, dtype=np.float64), hashes, "")


@pytest.fixture
def rows() -> TrainingSet:
    return learnable(4000)


def trees(rows: TrainingSet, settings: Settings) -> xgboost.Booster:
    return fitted_trees(matrices(rows, TRAIN, STOP, keep_rate=1.0), settings.training, FREE)


def test_the_same_rows_give_the_same_bytes(rows: TrainingSet, settings: Settings) -> None:
    assert trees(rows, settings).save_raw("ubj") == trees(rows, settings).save_raw("ubj")


def test_rows_read_in_many_batches_are_learnt_as_well_as_in_one(
    rows: TrainingSet, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very trees, for here XGBoost's sketch of the bins is exact; so a row lost or read twice would show."""
    few_values = replace(rows, features=np.round(rows.features, 1))
    whole = trees(few_values, settings)
    monkeypatch.setattr(trees_module, "BATCH_ROWS", 700)
    assert trees(few_values, settings).save_raw("ubj") == whole.save_raw("ubj")


def test_trees_after_the_best_iteration_are_cut_off(rows: TrainingSet, settings: Settings) -> None:
    losses: dict[str, dict[str, list[float]]] = {}
    given = matrices(rows, TRAIN, STOP, keep_rate=1.0)
    xgboost.train(
        tree_parameters(settings.training, FREE) | {"base_score": given.base_rate},
        given.train,
        num_boost_round=settings.training.rounds,
        evals=[(given.stop, "stop")],
        evals_result=losses,
        verbose_eval=False,
    )
    best = int(np.argmin(losses["stop"]["logloss"])) + 1
    assert 1 < best < settings.training.rounds
    found = trees(rows, settings)
    assert found.num_boosted_rounds() == best
    assert least_log_loss(found, given) == pytest.approx(min(losses["stop"]["logloss"]))


def test_margins_are_the_boosters_own_log_odds(
    rows: TrainingSet, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    booster = trees(rows, settings)
    expected = booster.predict(xgboost.DMatrix(rows.features), output_margin=True)
    monkeypatch.setattr(trees_module, "BATCH_ROWS", 1500)
    assert np.array_equal(margins(booster, rows.features), expected.astype(np.float64))


def test_a_stump_of_sampled_rows_says_the_log_odds_of_all_rows(settings: Settings) -> None:
    """By hand: 40 clicks in 1,000 rows, of whose 960 non-clicks a quarter is kept, so 40 in 280. The one tree finds
    nothing to add, and the model says ln(40 / 240) + ln(0.25) = ln(40 / 960)."""
    labels = np.zeros(1000, dtype=np.int8)
    labels[:40] = 1
    hashes = np.full(1000, 2**31, dtype=np.uint32)
    hashes[40:280] = 2**30 - 1
    same = TrainingSet(np.ones((1000, 1), np.float32), labels, np.arange(1000.0), hashes, "")
    given = matrices(same, slice(0, 1000), slice(0, 1000), keep_rate=0.25)
    assert given.train.num_row() == 280
    assert given.stop.num_row() == 1000
    found = fitted_trees(given, replace(settings.training, subsample=1.0), (0,))
    assert margins(found, same.features[:1])[0] == pytest.approx(np.log(40 / 240) + np.log(0.25), abs=1e-6)
    assert np.log(40 / 240) + np.log(0.25) == pytest.approx(np.log(40 / 960))


def test_sampled_rows_teach_the_probabilities_of_all_rows(settings: Settings) -> None:
    """On a known model: without the correction the mean would be some 0.31, not 0.15."""
    known = learnable(60_000)
    later = learnable(20_000, seed=2)
    truth = 1 / (1 + np.exp(2 - later.features[:, 0]))
    given = matrices(known, slice(0, 40_000), slice(40_000, 60_000), keep_rate=0.4)
    assert given.train.num_row() < 0.5 * 40_000
    found = 1 / (1 + np.exp(-margins(fitted_trees(given, settings.training, FREE), later.features)))
    assert found.mean() == pytest.approx(truth.mean(), rel=0.03)
    assert np.abs(found - truth).mean() < 0.02


def test_early_stopping_sees_the_stop_rows_unsampled_and_corrected(settings: Settings) -> None:
    known = learnable(60_000)
    given = matrices(known, slice(0, 40_000), slice(40_000, 60_000), keep_rate=0.4)
    found = fitted_trees(given, settings.training, FREE)
    log_odds = margins(found, known.features[40_000:])
    expected = np.logaddexp(0, log_odds) - log_odds * known.labels[40_000:]
    assert least_log_loss(found, given) == pytest.approx(expected.mean(), rel=1e-5)
    assert found.num_boosted_rounds() > 10


def test_a_keep_rate_that_leaves_no_non_click_is_an_error(rows: TrainingSet) -> None:
    with pytest.raises(SliceError, match="keep_rate 1e-12 leaves no non-click of the train slice"):
        matrices(replace(rows, hashes=np.maximum(rows.hashes, 1)), TRAIN, STOP, keep_rate=1e-12)


@pytest.mark.parametrize("direction", [1, -1])
def test_direction_more_of_a_rising_feature_never_lowers_a_score_nor_more_of_a_falling_one_raises_it(
    rows: TrainingSet, settings: Settings, direction: int
) -> None:
    """The second feature says nothing, so free trees would follow its noise up and down."""
    booster = fitted_trees(matrices(rows, TRAIN, STOP, keep_rate=1.0), settings.training, (0, direction, 0))
    random = np.random.default_rng(5)
    below = random.normal(size=(5000, 3)).astype(np.float32)
    above = below.copy()
    above[:, 1] += random.exponential(1.0, 5000).astype(np.float32)
    assert (direction * (margins(booster, above) - margins(booster, below)) >= 0).all()


def test_trees_start_from_the_base_feature_row_by_row(settings: Settings) -> None:
    """The first feature is the true log-odds: trees that start from it have nothing to add, others must find it."""
    random = np.random.default_rng(3)
    truth = random.normal(-2.0, 1.0, 6000).astype(np.float32)
    noise = random.random(6000, dtype=np.float32)
    labels = (random.random(6000) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    known = TrainingSet(
        np.stack([truth, noise], axis=1), labels, np.arange(6000.0), np.arange(6000, dtype=np.uint32), ""
    )
    later = known.features[4000:]
    slices = slice(0, 3000), slice(3000, 4000)
    based = fitted_trees(matrices(known, *slices, keep_rate=1.0, base=0), settings.training, (0, 0))
    assert np.abs(margins(based, later, 0) - later[:, 0]).max() < 0.3
    assert np.array_equal(margins(based, later, 0), based.predict(
        xgboost.DMatrix(later, base_margin=later[:, 0]), output_margin=True
    ).astype(np.float64))  # fmt: skip


def test_sampling_is_undone_above_a_base_too(settings: Settings) -> None:
    features = np.full((6000, 1), -1.5, np.float32)
    labels = (np.arange(6000) % 10 == 0).astype(np.int8)
    every_fourth = (np.cumsum(1 - labels) % 4 == 0) & (labels == 0)
    hashes = np.where(every_fourth, 0, 2**31).astype(np.uint32)
    known = TrainingSet(features, labels, np.arange(6000.0), hashes, "")
    given = matrices(known, slice(0, 4000), slice(4000, 6000), keep_rate=0.25, base=0)
    training = replace(settings.training, subsample=1.0, rounds=100, learning_rate=0.3)
    found = margins(fitted_trees(given, training, (0,)), features[:1], 0)[0]
    assert found == pytest.approx(np.log(0.1 / 0.9), abs=0.02)
