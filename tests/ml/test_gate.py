"""The gate on arrays: each rule, its words, and which rule outweighs which."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data_contracts.settings import Gate, Settings
from ml.gate import FIRST_MODEL, Judged, judge

ROWS = 20_000


@pytest.fixture
def gate(settings: Settings) -> Gate:
    return settings.gate


@pytest.fixture
def truth() -> np.ndarray[Any, Any]:
    return np.random.default_rng(11).choice([0.02, 0.05, 0.1, 0.2], ROWS)


@pytest.fixture
def judged(truth: np.ndarray[Any, Any]) -> Judged:
    """A challenger that knows the truth, and no champion."""
    random = np.random.default_rng(12)
    labels = (random.random(ROWS) < truth).astype(np.int8)
    users = random.integers(3000, size=ROWS)
    return Judged(labels, users, truth, None, {"position": np.where(np.arange(ROWS) < 100, "3", "1")})


def test_a_sound_first_model_is_promoted_and_says_why_last(judged: Judged, gate: Gate) -> None:
    outcome, reasons, _ = judge(judged, gate)
    assert outcome == "promote"
    assert reasons[-1] == FIRST_MODEL


def test_a_first_model_surely_worse_than_the_base_rate_is_refused(judged: Judged, gate: Gate) -> None:
    shuffled = np.random.default_rng(1).permutation(judged.challenger)
    outcome, reasons, _ = judge(replace(judged, challenger=shuffled), gate)
    assert outcome == "refuse"
    assert reasons[0].endswith("surely worse than the base rate alone")


def test_a_challenger_no_worse_than_the_champion_is_promoted(judged: Judged, gate: Gate) -> None:
    outcome, reasons, _ = judge(replace(judged, champion=judged.challenger * 1.3), gate)
    assert outcome == "promote"
    assert FIRST_MODEL not in reasons


def test_a_challenger_that_may_be_worse_than_allowed_is_refused(judged: Judged, gate: Gate) -> None:
    noisy = judged.challenger * np.random.default_rng(3).uniform(0.6, 1.4, ROWS)
    outcome, reasons, _ = judge(replace(judged, champion=judged.challenger, challenger=noisy), gate)
    assert outcome == "refuse"
    assert reasons[0].endswith("it may be worse than the +0.30% that is allowed")


def test_the_allowed_worsening_is_measured_at_the_upper_end_of_the_interval(judged: Judged, gate: Gate) -> None:
    few = 400
    small = Judged(judged.labels[:few], judged.users[:few], judged.challenger[:few] * 1.05, judged.challenger[:few], {})
    assert judge(small, gate)[0] == "refuse"
    assert judge(small, replace(gate, worst_relative_entropy_change=0.2))[0] == "promote"


@pytest.mark.parametrize("factor", [0.8, 1.3])
def test_an_interval_that_misses_the_calibration_band_is_refused(judged: Judged, gate: Gate, factor: float) -> None:
    outcome, reasons, _ = judge(replace(judged, challenger=judged.challenger * factor), gate)
    assert outcome == "refuse"
    assert reasons[0].startswith("calibration ratio ")
    assert reasons[0].endswith("misses the band 0.9 to 1.1")


def test_an_interval_that_only_touches_the_band_passes(judged: Judged, gate: Gate) -> None:
    ratio = float(judged.challenger.sum() / judged.labels.sum())
    outcome, _, _ = judge(replace(judged, challenger=judged.challenger * 1.11 / ratio), gate)
    assert outcome == "promote"


def test_a_slice_with_enough_clicks_must_meet_the_band_too(judged: Judged, gate: Gate) -> None:
    half = np.arange(ROWS) % 2 == 0
    tilted = judged.challenger * np.where(half, 1.4, 0.6)
    slices = {"variant": np.where(half, "a", "b")}
    outcome, reasons, _ = judge(replace(judged, challenger=tilted, slices=slices), gate)
    assert outcome == "refuse"
    assert any("where variant is a misses the band" in reason for reason in reasons)
    assert any("where variant is b misses the band" in reason for reason in reasons)


def test_a_slice_with_few_clicks_is_not_judged_and_that_is_said(judged: Judged, gate: Gate) -> None:
    _, reasons, table = judge(judged, gate)
    assert "not enough clicks (under 100) to judge 1 of 2 slices" in reasons
    assert [(row["column"], row["value"], row["judged"]) for row in table] == [
        ("all", "all", "judged"),
        ("position", "1", "judged"),
        ("position", "3", "not enough clicks"),
    ]


def test_a_gain_too_good_to_be_true_waits_for_a_person(judged: Judged, gate: Gate) -> None:
    leaked = np.where(judged.labels == 1, 0.6, 0.045)
    leaked = leaked * judged.labels.sum() / leaked.sum()
    outcome, reasons, _ = judge(replace(judged, challenger=leaked), gate)
    assert outcome == "wait_for_person"
    assert "usually a leak, so a person must look" in reasons[0]


def test_a_gain_over_the_champion_can_be_too_good_as_well(judged: Judged, gate: Gate) -> None:
    outcome, reasons, _ = judge(replace(judged, champion=np.full(ROWS, 0.4)), gate)
    assert outcome == "wait_for_person"
    assert "less entropy than the champion" in reasons[0]


def test_a_refusal_outweighs_waiting_for_a_person(judged: Judged, gate: Gate) -> None:
    outcome, _, _ = judge(replace(judged, champion=np.full(ROWS, 0.5), challenger=judged.challenger * 1.3), gate)
    assert outcome == "refuse"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda scores: np.where(scores == scores[0], np.nan, scores), "are not finite numbers"),
        (lambda scores: scores - 0.05, "a probability lies within 0 and 1"),
        (lambda scores: scores * 10, "a probability lies within 0 and 1"),
        (lambda scores: (scores > 0.1).astype(float), "every score is 0 or 1: class labels, not probabilities"),
        (lambda scores: np.zeros(ROWS), "every score is 0 or 1: class labels, not probabilities"),
    ],
)
def test_what_is_no_probability_is_refused(judged: Judged, gate: Gate, spoil: Any, reason: str) -> None:
    outcome, reasons, table = judge(replace(judged, challenger=spoil(judged.challenger)), gate)
    assert outcome == "refuse"
    assert reason in reasons[0]
    assert table == ()


def test_a_constant_is_a_probability(judged: Judged, gate: Gate) -> None:
    constant = np.full(ROWS, judged.labels.mean())
    assert judge(replace(judged, challenger=constant), gate)[0] == "promote"


def test_two_values_are_probabilities_when_they_are_not_class_labels(gate: Gate) -> None:
    random = np.random.default_rng(5)
    scores = random.choice([0.004, 0.006], ROWS)
    labels = (random.random(ROWS) < scores).astype(np.int8)
    assert judge(Judged(labels, random.integers(3000, size=ROWS), scores, None, {}), gate)[0] == "promote"


def test_numbers_without_clicks_are_absent_not_infinite(judged: Judged, gate: Gate) -> None:
    slices = {"variant": np.where((np.arange(ROWS) < 50) & (judged.labels == 0), "rare", "usual")}
    _, _, table = judge(replace(judged, slices=slices), gate)
    rare = next(row for row in table if row["value"] == "rare")
    assert (rare["clicks"], rare["calibration_ratio"], rare["normalized_entropy"], rare["auc"]) == (0, None, None, None)
    assert rare["calibration_ratio_high"] is None
