"""When a canary's scores are another distribution's."""

import math

import numpy as np
import pytest

from data_contracts.settings import Settings
from serving.score_shift import ROWS_OF_A_REQUEST, ScoreShift, quantile_distance

ROWS, USERS = 1000, 200
SAME = 5
"""Rows of a user."""


def scores(seed: int, mean: float = -4.0, spread: float = 0.8, rows: int = ROWS) -> list[float]:
    drawn = np.random.default_rng(seed).normal(mean, spread, rows)
    return [float(value) for value in 1 / (1 + np.exp(-drawn))]


def said(settings: Settings, canary: list[float], champion: list[float], of_one: int = SAME) -> list[str]:
    """What is said of these scores, `of_one` a request, each request another user's."""
    shift = ScoreShift(settings.canary)
    starts = range(0, len(canary), of_one)
    told = [shift.add(f"user-{at}", canary[at : at + of_one], champion[at : at + of_one]) for at in starts]
    return [words for words in told if words]


@pytest.mark.parametrize(
    ("canary", "words"),
    [
        ([0.02] * ROWS, "spread unlike the champion's"),
        ([1 - score for score in scores(1)], "times the champion's of the same 1,000 ads"),
        ([1.3 * score for score in scores(1)], "1.30 times the champion's"),
        ([0.7 * score for score in scores(1)], "0.70 times"),
        ([sum(scores(1)) / ROWS] * ROWS, "spread unlike"),
        (sorted(scores(1)), ""),
        (scores(1), ""),
        ([1.1 * score for score in scores(1)], ""),
    ],
)
def test_scores_of_another_level_or_spread_end_a_canary(settings: Settings, canary: list[float], words: str) -> None:
    told = said(settings, canary, scores(1))
    assert (words in told[0] and len(told) == 1) if words else told == []


@pytest.mark.parametrize("factor", [0.999, 1.001, 0.95, 1.05])
@pytest.mark.parametrize("share", [0.15, 0.5, 1.0])
def test_scores_that_repeat_are_no_shift(settings: Settings, share: float, factor: float) -> None:
    same = int(ROWS * share)
    champion = [0.03] * same + scores(1)[same:]
    random = np.random.default_rng(2).permutation(ROWS)
    champion = [champion[place] for place in random]
    assert said(settings, [factor * score for score in champion], champion) == []


def test_nothing_is_said_until_enough_rows_of_enough_users_have_come_and_each_time_anew(settings: Settings) -> None:
    champion = scores(1)
    assert said(settings, [0.5] * (ROWS - SAME), champion[SAME:]) == []
    assert len(said(settings, [0.5] * 3 * ROWS, champion * 3)) == 3
    shift = ScoreShift(settings.canary)
    for number in range(10_000):
        assert shift.add(f"user-{number % (settings.canary.least_users - 1)}", [0.5], [0.02]) == ""
    assert "times" in shift.add("another user", [0.5], [0.02])


def test_of_a_large_slate_no_more_counts_than_of_a_small_one(settings: Settings) -> None:
    slate = 500
    requests = ROWS // ROWS_OF_A_REQUEST
    assert said(settings, [0.5] * slate * (requests - 1), [0.02] * slate * (requests - 1), slate) == []
    assert len(said(settings, [0.5] * slate * requests, [0.02] * slate * requests, slate)) == 1


def test_sound_models_that_differ_by_user_and_by_chance_are_let_be(settings: Settings) -> None:
    random = np.random.default_rng(5)
    for seed in range(200):
        champion = np.log(scores(seed))
        by_user = np.repeat(random.normal(0, 0.3, USERS), SAME)
        canary = [float(score) for score in np.exp(champion + by_user + random.normal(0, 0.15, ROWS))]
        assert said(settings, canary, [float(score) for score in np.exp(champion)]) == []


def test_the_quantile_distance_is_that_of_the_formula() -> None:
    odds = np.random.default_rng(1).normal(-3, 0.8, 1000)
    reference, found = 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-(odds + 0.2)))
    assert math.isclose(quantile_distance(found, reference), 0.2 / odds.std())
    assert quantile_distance(reference, reference) == 0
    constant = np.full(1000, 1 / (1 + math.exp(-odds.mean())))
    assert abs(quantile_distance(constant, reference) - math.sqrt(2 / math.pi)) < 0.02
