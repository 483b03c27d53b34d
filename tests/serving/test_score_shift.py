"""When a canary's scores are another distribution's."""

import math

import numpy as np
import pytest

from data_contracts.settings import Settings
from serving.score_shift import ScoreShift, stability_index

ROWS = 1000


def scores(seed: int, mean: float = -4.0, spread: float = 0.8, rows: int = ROWS) -> list[float]:
    drawn = np.random.default_rng(seed).normal(mean, spread, rows)
    return [float(value) for value in 1 / (1 + np.exp(-drawn))]


@pytest.mark.parametrize(
    ("canary", "words"),
    [
        ([0.02] * ROWS, "spread unlike the champion's: stability index"),
        ([1 - score for score in scores(1)], "times the champion's of the same 1,000 ads"),
        ([1.3 * score for score in scores(1)], "1.30 times the champion's"),
        ([0.7 * score for score in scores(1)], "0.70 times"),
        ([sum(scores(1)) / ROWS] * ROWS, "stability index"),
        (sorted(scores(1)), ""),
        (scores(1), ""),
        ([1.1 * score for score in scores(1)], ""),
    ],
)
def test_scores_of_another_level_or_spread_end_a_canary(settings: Settings, canary: list[float], words: str) -> None:
    shift = ScoreShift(settings.canary)
    said = shift.add(canary, scores(1))
    assert (words in said) if words else said == ""


def test_nothing_is_said_until_enough_has_come_and_each_time_anew(settings: Settings) -> None:
    shift = ScoreShift(settings.canary)
    for start in range(0, ROWS - 100, 100):
        assert shift.add([0.5] * 100, scores(1)[start : start + 100]) == ""
    assert "times" in shift.add([0.5] * 100, scores(1)[-100:])
    assert shift.add(scores(2), scores(2)) == ""


def test_sound_models_that_differ_by_chance_are_let_be(settings: Settings) -> None:
    random = np.random.default_rng(5)
    for seed in range(200):
        champion = np.log(scores(seed))
        canary = [float(score) for score in np.exp(champion + random.normal(0, 0.15, ROWS))]
        assert ScoreShift(settings.canary).add(canary, [float(score) for score in np.exp(champion)]) == ""


def test_the_stability_index_is_that_of_the_formula() -> None:
    reference = np.arange(1000) / 1000
    found = np.where(np.arange(1000) < 500, 0.05, 0.95)
    here = np.array([500.5] + [0.5] * 8 + [500.5]) / 1005
    there = np.full(10, 100.5) / 1005
    assert math.isclose(stability_index(found, reference), float(((here - there) * np.log(here / there)).sum()))
    assert stability_index(reference, reference) == 0
