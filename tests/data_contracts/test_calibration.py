"""Margin to probability: values by hand, order kept, no overflow."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.calibration import Beta, Isotonic, Platt, calibration_from

IDENTITY = Platt(slope=1.0, intercept=0.0)


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
    assert Platt(slope, intercept).probability(margin) == pytest.approx(probability, rel=1e-12)


@pytest.mark.parametrize("slope", [0.0, -1.0, math.nan, math.inf])
def test_a_slope_that_is_not_positive_and_finite_is_refused(slope):
    with pytest.raises(ValueError, match="positive finite slope"):
        Platt(slope, 0.0)


@pytest.mark.parametrize("intercept", [math.nan, math.inf, -math.inf])
def test_an_intercept_that_is_not_finite_is_refused(intercept):
    with pytest.raises(ValueError, match="finite intercept"):
        Platt(1.0, intercept)


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
    calibration, (low, high) = Platt(slope, intercept), sorted((one, other))
    assert calibration.probability(low) <= calibration.probability(high)


@given(st.floats(-30, 30))
def test_the_two_branches_are_mirror_images(margin):
    assert IDENTITY.probability(-margin) == pytest.approx(1 - IDENTITY.probability(margin), abs=1e-15)


KNOTS = Isotonic(margins=(-4.0, -2.0, 0.0), log_odds_at=(-5.0, -3.0, -3.0))
KINDS = [Platt(0.5, -1.0), Beta(1.2, 0.8, -0.1), KNOTS]


@pytest.mark.parametrize(
    ("a", "b", "c", "margin", "probability"),
    [
        (1.0, 1.0, 0.0, math.log(3), 0.75),  # changes nothing
        (2.0, 1.0, 0.0, math.log(3), 0.75**2 / (0.75**2 + 0.25)),
        (1.0, 2.0, 0.0, math.log(3), 0.75 / (0.75 + 0.25**2)),
        (1.0, 1.0, math.log(2), 0.0, 2 / 3),
    ],
)
def test_beta_is_as_computed_by_hand_from_p_to_the_a_over_1_minus_p_to_the_b(a, b, c, margin, probability):
    assert Beta(a, b, c).probability(margin) == pytest.approx(probability, rel=1e-12)


@pytest.mark.parametrize(
    ("margin", "log_odds"),
    [(-9.0, -5.0), (-4.0, -5.0), (-3.5, -4.5), (-2.0, -3.0), (-1.0, -3.0), (0.0, -3.0), (5.0, -3.0), (-math.inf, -5.0)],
)
def test_isotonic_goes_straight_from_knot_to_knot_and_is_level_outside(margin, log_odds):
    assert KNOTS.log_odds(margin) == log_odds
    assert KNOTS.probability(margin) == pytest.approx(1 / (1 + math.exp(-log_odds)), rel=1e-12)


@pytest.mark.parametrize("calibration", KINDS)
@given(margins=st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=2))
def test_no_kind_turns_the_order_of_32_bit_margins_around_or_reaches_0_or_1(calibration, margins):
    low, high = (calibration.probability(margin) for margin in sorted(margins))
    assert 0.0 < low <= high < 1.0


@pytest.mark.parametrize("calibration", KINDS)
def test_every_kind_leaves_nan_as_it_is_and_does_not_overflow(calibration):
    assert math.isnan(calibration.probability(math.nan))
    assert 0.0 <= calibration.probability(-math.inf) <= calibration.probability(math.inf) <= 1.0
    assert 0.0 <= calibration.probability(-1e308) <= calibration.probability(1e308) <= 1.0


@pytest.mark.parametrize("calibration", KINDS)
@given(margins=st.lists(st.floats(-30, 30)))
def test_many_margins_get_the_bits_of_one(calibration, margins):
    assert calibration.probabilities(margins) == [calibration.probability(margin) for margin in margins]


@pytest.mark.parametrize("calibration", KINDS)
def test_what_json_holds_gives_it_back(calibration):
    assert calibration_from(json.loads(json.dumps(calibration.as_dict()))) == calibration


def test_json_names_the_kind():
    assert Platt(0.5, -1.0).as_dict() == {"kind": "platt", "slope": 0.5, "intercept": -1.0}
    assert Beta(1.0, 2.0, 0.5).as_dict() == {"kind": "beta", "a": 1.0, "b": 2.0, "c": 0.5}


def test_a_file_of_before_there_were_kinds_is_platts():
    assert calibration_from({"slope": 0.5, "intercept": -1.0}) == Platt(0.5, -1.0)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"kind": "spline", "slope": 1.0}, "no calibration is of kind 'spline'; known: platt, beta, isotonic"),
        ({"kind": "beta", "a": 0.0, "b": 1.0, "c": 0.0}, "positive finite a and b"),
        ({"kind": "beta", "a": 1.0, "b": 1.0, "c": math.inf}, "a finite c"),
        ({"kind": "isotonic", "margins": [], "log_odds_at": []}, "as many log-odds as margins"),
        ({"kind": "isotonic", "margins": [1.0, 2.0], "log_odds_at": [0.0]}, "as many log-odds as margins"),
        ({"kind": "isotonic", "margins": [1.0, 1.0], "log_odds_at": [0.0, 1.0]}, "rising finite margins"),
        ({"kind": "isotonic", "margins": [1.0, 2.0], "log_odds_at": [1.0, 0.0]}, "never fall"),
        ({"kind": "isotonic", "margins": [1.0, 2.0], "log_odds_at": [0.0, 31.0]}, "within -30 and 30"),
        ({"kind": "isotonic", "margins": [1.0, 2.0], "log_odds_at": [0.0, math.nan]}, "never fall"),
    ],
)
def test_what_is_no_calibration_is_refused(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        calibration_from(values)
