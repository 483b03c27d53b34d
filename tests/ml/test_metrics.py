"""Metrics against values worked out by hand, and against scikit-learn where it has the same one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from ml import metrics

LABELS = np.array([1, 0, 0, 0], dtype=np.int8)
HALF = np.array([0.5, 0.5, 0.25, 0.25])


def test_log_loss_is_the_mean_of_minus_log_the_probability_of_what_came() -> None:
    # -ln 0.5, -ln 0.5, -ln 0.75, -ln 0.75
    assert metrics.log_loss(LABELS, HALF) == pytest.approx((2 * 0.6931471806 + 2 * 0.2876820725) / 4)


def test_a_certain_miss_is_dear_but_finite() -> None:
    assert metrics.log_loss(LABELS, np.zeros(4)) == pytest.approx(34.53877639 / 4)
    assert metrics.log_loss(LABELS, np.ones(4)) == pytest.approx(34.53957599 * 3 / 4, rel=1e-3)


def test_entropy_of_a_quarter() -> None:
    assert metrics.entropy(1, 4) == pytest.approx(0.5623351446)
    assert metrics.entropy(0, 4) == 0
    assert metrics.entropy(4, 4) == 0


def test_the_base_rate_itself_has_normalized_entropy_one() -> None:
    assert metrics.normalized_entropy(LABELS, np.full(4, 0.25)) == pytest.approx(1)
    assert metrics.normalized_entropy(LABELS, HALF) == pytest.approx(0.4904146265 / 0.5623351446)


def test_normalized_entropy_of_rows_without_a_click_is_not_a_number() -> None:
    assert math.isnan(metrics.normalized_entropy(np.zeros(3, dtype=np.int8), np.full(3, 0.1)))


def test_a_calibration_ratio_above_one_promises_more_clicks_than_came() -> None:
    assert metrics.calibration_ratio(LABELS, HALF) == pytest.approx(1.5)


def test_the_calibration_ratio_without_a_click_is_infinite() -> None:
    assert metrics.calibration_ratio(np.zeros(2, dtype=np.int8), np.array([0.1, 0.2])) == math.inf


def test_auc_counts_a_tie_half() -> None:
    # the click at 0.5 beats two non-clicks and ties with one
    assert metrics.auc(LABELS, HALF) == pytest.approx(2.5 / 3)
    assert metrics.auc(LABELS, np.full(4, 0.3)) == 0.5
    assert math.isnan(metrics.auc(np.zeros(2, dtype=np.int8), np.array([0.1, 0.2])))


def test_pr_auc_of_a_tie_takes_the_whole_group() -> None:
    assert metrics.pr_auc(LABELS, HALF) == 0.5
    assert metrics.pr_auc(LABELS, np.full(4, 0.3)) == 0.25
    assert metrics.pr_auc(LABELS, np.array([0.9, 0.5, 0.25, 0.25])) == 1
    assert math.isnan(metrics.pr_auc(np.zeros(2, dtype=np.int8), np.array([0.1, 0.2])))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.3, 0.7])), min_size=2, max_size=40))
def test_auc_and_pr_auc_are_those_of_scikit_learn(rows: list[tuple[bool, float]]) -> None:
    labels = np.array([int(clicked) for clicked, _ in rows], dtype=np.int8)
    scores = np.array([score for _, score in rows])
    if 0 < labels.sum() < len(labels):
        assert metrics.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
        assert metrics.pr_auc(labels, scores) == pytest.approx(average_precision_score(labels, scores))


def test_metrics_name_everything_with_rows_and_clicks() -> None:
    found = metrics.metrics(LABELS, HALF)
    assert list(found) == [
        "log_loss", "normalized_entropy", "calibration_ratio", "auc", "pr_auc", "rows", "clicks",
    ]  # fmt: skip
    assert (found["rows"], found["clicks"]) == (4, 1)


def test_whole_users_are_drawn() -> None:
    # user 0 holds 1 + 2, user 1 holds 10: two draws give 6, 13 or 20 and nothing else
    sums = metrics.bootstrap_sums(np.array([0, 0, 1]), np.array([[1.0], [2.0], [10.0]]), 200, seed=1)
    assert set(sums[:, 0]) == {6.0, 13.0, 20.0}


def test_the_same_seed_draws_the_same_whatever_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    users, columns = np.arange(50), np.arange(50.0)[:, None]
    whole = metrics.bootstrap_sums(users, columns, 40, seed=3)
    monkeypatch.setattr(metrics, "DRAWS_AT_ONCE", 150)
    assert np.array_equal(metrics.bootstrap_sums(users, columns, 40, seed=3), whole)
    assert not np.array_equal(metrics.bootstrap_sums(users, columns, 40, seed=4), whole)


def test_one_user_alone_bounds_nothing() -> None:
    labels, scores, users = LABELS, HALF, np.zeros(4, dtype=np.int64)
    everything = (-math.inf, math.inf)
    assert metrics.calibration_ratio_interval(labels, scores, users, 50, 1) == everything
    assert metrics.normalized_entropy_interval(labels, scores, users, 50, 1) == everything
    assert metrics.relative_entropy_change_interval(labels, scores, scores, users, 50, 1) == everything


def test_the_calibration_interval_agrees_with_the_normal_approximation() -> None:
    random = np.random.default_rng(5)
    labels = (random.random(20_000) < 0.05).astype(np.int8)
    low, high = metrics.calibration_ratio_interval(labels, np.full(20_000, 0.05), np.arange(20_000), 500, 1)
    spread = 1.96 / math.sqrt(labels.sum())
    centre = 1000 / labels.sum()
    assert low == pytest.approx(centre * (1 - spread), rel=0.02)
    assert high == pytest.approx(centre * (1 + spread), rel=0.02)


def test_clicks_of_one_user_are_one_piece_of_luck() -> None:
    random = np.random.default_rng(5)
    labels = np.repeat((random.random(200) < 0.3).astype(np.int8), 20)
    scores = np.full(4000, 0.3)
    alone = metrics.calibration_ratio_interval(labels, scores, np.arange(4000), 300, 1)
    together = metrics.calibration_ratio_interval(labels, scores, np.repeat(np.arange(200), 20), 300, 1)
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])


def test_a_resample_without_a_click_leaves_the_upper_end_infinite() -> None:
    labels = np.zeros(100, dtype=np.int8)
    labels[0] = 1
    assert metrics.calibration_ratio_interval(labels, np.full(100, 0.01), np.arange(100), 200, 1)[1] == math.inf


def test_a_change_below_zero_is_better() -> None:
    better, worse = np.array([0.9, 0.1, 0.1, 0.1]), np.full(4, 0.25)
    # ln 0.9 four times against the entropy of a quarter
    assert metrics.relative_entropy_change(LABELS, better, worse) == pytest.approx(0.1053605157 / 0.5623351446 - 1)


def test_the_paired_interval_of_a_model_against_itself_is_nought() -> None:
    assert metrics.relative_entropy_change_interval(LABELS, HALF, HALF, np.arange(4), 100, 1) == (0, 0)


def test_the_paired_interval_is_narrower_than_two_apart() -> None:
    random = np.random.default_rng(2)
    truth = random.uniform(0.05, 0.4, 4000)
    labels = (random.random(4000) < truth).astype(np.int8)
    low, high = metrics.relative_entropy_change_interval(labels, truth * 1.02, truth, np.arange(4000), 300, 1)
    own = metrics.normalized_entropy_interval(labels, truth, np.arange(4000), 300, 1)
    assert high - low < 0.2 * (own[1] - own[0])


TRUTHS = np.array([0.5, 0.25, 0.0])


def test_the_expected_log_loss_weighs_both_outcomes_by_the_true_probability() -> None:
    told = np.array([0.5, 0.5, 0.2])
    by_hand = (math.log(2) + math.log(2) - math.log(0.8)) / 3
    assert metrics.expected_log_loss(TRUTHS, told) == pytest.approx(by_hand)


def test_a_certain_truth_that_is_told_costs_nothing() -> None:
    assert metrics.expected_log_loss(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == pytest.approx(0, abs=1e-12)


def test_the_constant_explains_nothing_and_the_truth_all_of_what_can_be() -> None:
    constant = np.full(3, 0.25)
    assert metrics.expected_normalized_entropy(TRUTHS, constant) == pytest.approx(1)
    assert metrics.explained_share(TRUTHS, constant) == pytest.approx(0)
    assert metrics.explained_share(TRUTHS, TRUTHS) == pytest.approx(1)
    assert metrics.explained_share(TRUTHS, 1 - TRUTHS) < 0


def test_where_the_truth_says_the_same_of_all_nothing_can_be_explained():
    for rows in (1, 50):
        assert math.isnan(metrics.explained_share(np.full(rows, 0.00199), np.full(rows, 0.1)))


def test_a_share_by_hand() -> None:
    truths, told = np.array([0.8, 0.2]), np.array([0.5, 0.2])
    most = math.log(2)
    least = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    own = (math.log(2) + least) / 2
    assert metrics.explained_share(truths, told) == pytest.approx((most - own) / (most - least))
