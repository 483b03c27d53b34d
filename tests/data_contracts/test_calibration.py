"""Margin to probability: values by hand, order kept, no overflow."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.calibration import Calibration

IDENTITY = Calibration(slope=1.0, intercept=0.0)


@pytest.mark.parametrize(
    ("slope", "intercept", "margin", "probability"),
    [
        (1.0, 0.0, 0.0, 0.5),
        (1.0, 0.0, math.log(3), 0.75),
        (1.0, 0.0, -math.log(3), 0.25),
        (2.0, 0.0, math.log(3), 0.9),
        (1.0, math.log(1 / 199), 0.0, 0.005),
        (0.5, -1.0, 2.0, 0.5),
    ],
)
def test_probabilities_are_as_computed_by_hand(slope, intercept, margin, probability):
    assert Calibration(slope, intercept).probability(margin) == pytest.approx(probability, rel=1e-12)


@pytest.mark.parametrize("slope", [0.0, -1.0, math.nan, math.inf])
def test_a_slope_that_is_not_positive_and_finite_is_refused(slope):
    with pytest.raises(ValueError, match="positive finite slope"):
        Calibration(slope, 0.0)


@pytest.mark.parametrize("intercept", [math.nan, math.inf, -math.inf])
def test_an_intercept_that_is_not_finite_is_refused(intercept):
    with pytest.raises(ValueError, match="finite intercept"):
        Calibration(1.0, intercept)


def test_nan_stays_nan():
    assert math.isnan(IDENTITY.probability(math.nan))


def test_margins_without_end_neither_overflow_nor_leave_0_and_1():
    assert IDENTITY.probability(1e308) == 1.0
    assert IDENTITY.probability(-1e308) == 0.0
    assert IDENTITY.probability(math.inf) == 1.0
    assert IDENTITY.probability(-math.inf) == 0.0


@given(st.floats(-30, 30))
def test_margins_of_any_use_give_a_probability_strictly_within_0_and_1(margin):
    assert 0.0 < IDENTITY.probability(margin) < 1.0


@given(st.floats(0.01, 10), st.floats(-10, 10), st.floats(-100, 100), st.floats(-100, 100))
def test_calibration_never_turns_the_order_of_scores_around(slope, intercept, one, other):
    calibration, (low, high) = Calibration(slope, intercept), sorted((one, other))
    assert calibration.probability(low) <= calibration.probability(high)


@given(st.floats(-30, 30))
def test_the_two_branches_are_mirror_images(margin):
    assert IDENTITY.probability(-margin) == pytest.approx(1 - IDENTITY.probability(margin), abs=1e-15)


def test_as_dict_gives_it_back():
    assert Calibration(0.5, -1.0).as_dict() == {"slope": 0.5, "intercept": -1.0}
    assert Calibration(**Calibration(0.5, -1.0).as_dict()) == Calibration(0.5, -1.0)
