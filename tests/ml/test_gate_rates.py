"""How often the gate is right, over markets drawn anew: equals are seldom called better, and the bad never pass.

Real trees, calibrations and bootstraps, on rows whose law is known; `make soak` draws many.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from data_contracts.settings import Gate, Settings
from ml.calibrate import probabilities
from ml.fitting import fitted_model
from ml.gate import Judged, judge
from ml.model_run import FittedModel
from ml.staging import TrainingSet
from ml.trees import margins
from tests.ml.learnable_market import feature_set

Numbers = np.ndarray[Any, Any]
ROWS = {"train": 6000, "stop": 1500, "calibration": 3000}
HOLDOUT_ROWS, USERS = 6000, 800
LEAK = 5


@dataclass(frozen=True)
class Market:
    """A market's law: what each of a row's features adds to the log-odds of a click, and a user of his own."""

    weights: Numbers
    of_user: Numbers
    random: np.random.Generator

    @classmethod
    def drawn(cls, seed: int) -> "Market":
        random = np.random.default_rng(seed)
        weights = np.abs(random.normal(0, 0.4, len(feature_set().feature_names)))  # as RISING promises
        weights[LEAK] = 0
        return cls(weights, random.normal(0, 0.4, USERS), random)

    def rows(self, count: int) -> tuple[Numbers, Numbers, Numbers]:
        """Features, labels and users of `count` impressions."""
        features = self.random.normal(0, 1, (count, len(self.weights))).astype(np.float32)
        users = self.random.integers(0, USERS, count)
        rate = 1 / (1 + np.exp(2.2 - features @ self.weights - self.of_user[users]))
        return features, (self.random.random(count) < rate).astype(np.int8), users


def given(features: Numbers, labels: Numbers) -> TrainingSet:
    return TrainingSet(features, labels, np.arange(len(labels), dtype=float), np.zeros(len(labels), np.uint32), "")


def trained(settings: Settings, features: Numbers, labels: Numbers, seed: int = 7) -> FittedModel:
    ends = np.cumsum([0, *ROWS.values()])
    rows = {name: slice(int(ends[place]), int(ends[place + 1])) for place, name in enumerate(ROWS)}
    return fitted_model(given(features, labels), rows, feature_set(), replace(settings.training, seed=seed))


def scores(model: FittedModel, features: Numbers) -> Numbers:
    return probabilities(model.calibration, margins(model.trees, features))


def sound(settings: Settings, market: Market, holdout: Numbers) -> Numbers:
    features, labels, _ = market.rows(sum(ROWS.values()))
    return scores(trained(settings, features, labels), holdout)


def inverted(settings: Settings, market: Market, holdout: Numbers) -> Numbers:
    features, labels, _ = market.rows(sum(ROWS.values()))
    return scores(trained(settings, features, (1 - labels).astype(np.int8)), holdout)


def class_labels(settings: Settings, market: Market, holdout: Numbers) -> Numbers:
    return (sound(settings, market, holdout) > 0.5).astype(float)


def uncalibrated(settings: Settings, market: Market, holdout: Numbers) -> Numbers:
    """Three in four non-clicks were not learnt from, and nobody undid that."""
    found = sound(settings, market, holdout)
    return found / (found + 0.25 * (1 - found))


def of_pending_labels(settings: Settings, market: Market, holdout: Numbers) -> Numbers:
    """Rows are taken by their state: of the newest half of the calibration slice the clicks are known, and the
    non-clicks are still pending, so they are not there."""
    features, labels, _ = market.rows(2 * sum(ROWS.values()))
    end = sum(ROWS.values())
    newest = np.arange(end - ROWS["calibration"] // 2, 2 * end)
    kept = np.concatenate([np.arange(newest[0]), newest[labels[newest] == 1]])[:end]
    return scores(trained(settings, features[kept], labels[kept]), holdout)


def leaked(settings: Settings, market: Market, holdout: Numbers) -> Numbers:
    """One feature knew the labels; the holdout's inputs, made again from the tables, know nothing of it."""
    features, labels, _ = market.rows(sum(ROWS.values()))
    features[:, LEAK] = labels + market.random.normal(0, 0.1, len(labels))
    return scores(trained(settings, features, labels), holdout)


BAD = (inverted, class_labels, uncalibrated, of_pending_labels, leaked)
MANY = [pytest.param(10, id="10"), pytest.param(200, marks=pytest.mark.soak, id="200")]
SOME = [pytest.param(2, id="2"), pytest.param(40, marks=pytest.mark.soak, id="40")]


@pytest.fixture
def gate(settings: Settings) -> Gate:
    return replace(settings.gate, bootstrap_rounds=400)


def judged(market: Market, challenger: Numbers, champion: Numbers | None, labels: Numbers, users: Numbers) -> Judged:
    return Judged(labels, users, challenger, champion, {"position": np.where(np.arange(len(labels)) % 3, "1", "2")})


@pytest.mark.parametrize("gates", MANY)
def test_of_two_models_alike_one_is_seldom_called_better(settings: Settings, gate: Gate, gates: int) -> None:
    """Both learn from the same rows, and draw rows and columns for their trees by another seed."""
    claims = 0
    for seed in range(gates):
        market = Market.drawn(seed)
        learnt, labels, _ = market.rows(sum(ROWS.values()))
        features, clicked, users = market.rows(HOLDOUT_ROWS)
        pair = [scores(trained(settings, learnt, labels, each), features) for each in (1, 2)]
        assert (pair[0] != pair[1]).any()
        _, reasons, _ = judge(judged(market, *pair, clicked, users), gate)
        claims += any("better than the champion" in reason for reason in reasons)
    assert claims <= max(1, 0.05 * gates)


def test_one_that_is_better_is_called_so(settings: Settings, gate: Gate) -> None:
    """The control of the test before: the gate has eyes."""
    market = Market.drawn(0)
    features, labels, users = market.rows(HOLDOUT_ROWS)
    good = sound(settings, market, features)
    poor = np.full(len(labels), labels.mean())
    reasons = judge(judged(market, good, poor, labels, users), replace(gate, suspicious_relative_entropy_gain=0.9))[1]
    assert "better than the champion" in reasons[0]


@pytest.mark.parametrize("first", [True, False], ids=["first model", "against a champion"])
@pytest.mark.parametrize("markets", SOME)
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_model_never_passes(
    settings: Settings, gate: Gate, bad: Callable[..., Numbers], markets: int, first: bool
) -> None:
    outcomes = []
    for seed in range(markets):
        market = Market.drawn(1000 + seed)
        features, labels, users = market.rows(HOLDOUT_ROWS)
        champion = None if first else sound(settings, market, features)
        outcomes.append(judge(judged(market, bad(settings, market, features), champion, labels, users), gate)[0])
    allowed = {"refuse", "wait_for_person"} if bad is leaked else {"refuse"}
    assert set(outcomes) <= allowed


@pytest.mark.parametrize("markets", SOME)
def test_a_sound_first_model_does_pass(settings: Settings, gate: Gate, markets: int) -> None:
    """The control of the test before: it is what was done to the models that is refused."""
    outcomes = []
    for seed in range(markets):
        market = Market.drawn(1000 + seed)
        features, labels, users = market.rows(HOLDOUT_ROWS)
        outcomes.append(judge(judged(market, sound(settings, market, features), None, labels, users), gate)[0])
    assert set(outcomes) <= {"promote", "wait_for_person"}
