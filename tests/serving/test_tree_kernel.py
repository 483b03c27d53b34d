"""The kernel's margins are XGBoost's own, bit for bit, on random models; what it cannot walk it refuses."""

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.tree_kernel import UncoveredTreesError, tree_kernel

WIDTH = 6


def drawn_rows(random: np.random.Generator, count: int) -> np.ndarray:
    """Few distinct values, so that rows lie on thresholds; some missing, some huge."""
    rows = random.choice([*np.linspace(-2, 2, 17), 1e30, -1e30, np.nan], (count, WIDTH)).astype(np.float32)
    rows[:, 0] = random.normal(size=count)
    return rows


def grown(seed: int, depth: int, trees: int, base_score: float | None, **more: object) -> xgboost.Booster:
    random = np.random.default_rng(seed)
    rows = drawn_rows(random, 800)
    labels = random.random(800) < 0.2 + 0.2 * (np.nan_to_num(rows[:, 1]) > 0)
    parameters = {
        "objective": "binary:logistic", "max_depth": depth, "seed": seed, "nthread": 1, "min_child_weight": 0.5,
        "eta": 0.3, "subsample": 0.7, **({} if base_score is None else {"base_score": base_score}), **more,
    }  # fmt: skip
    return xgboost.train(parameters, xgboost.DMatrix(rows, label=labels), trees)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 8),
    st.integers(1, 40),
    st.none() | st.floats(0.001, 0.999),
    st.booleans(),
    st.sampled_from([{}, {"grow_policy": "lossguide", "max_leaves": 9}, {"tree_method": "exact"}]),
)
def test_margins_are_xgboosts_own_bit_for_bit(seed, depth, trees, base_score, brings_start, more):
    booster = grown(seed, depth, trees, base_score, **more)
    rows = drawn_rows(np.random.default_rng(seed + 1), 500)
    starts = np.random.default_rng(seed).normal(-3, 2, 500).astype(np.float32) if brings_start else None
    expected = booster.predict(xgboost.DMatrix(rows, base_margin=starts), output_margin=True)
    found = tree_kernel(booster).margins(rows, starts)
    assert found.dtype == np.float32
    assert found.tobytes() == expected.tobytes()


def test_a_slice_of_a_booster_and_one_of_no_tree_are_walked():
    booster = grown(1, 4, 12, 0.04)
    rows = drawn_rows(np.random.default_rng(2), 100)
    for part in (booster[:5], xgboost.train({"objective": "binary:logistic", "base_score": 0.04}, _labelled(rows), 0)):
        expected = part.predict(xgboost.DMatrix(rows), output_margin=True)
        assert tree_kernel(part).margins(rows).tobytes() == expected.tobytes()


def _labelled(rows: np.ndarray) -> xgboost.DMatrix:
    return xgboost.DMatrix(rows, label=np.arange(len(rows)) % 2)


def categorical() -> xgboost.Booster:
    random = np.random.default_rng(3)
    kinds = random.integers(0, 5, (300, 1)).astype(np.float32)
    rows = xgboost.DMatrix(kinds, label=kinds[:, 0] == 2, feature_types=["c"], enable_categorical=True)
    return xgboost.train({"objective": "binary:logistic", "max_cat_to_onehot": 1}, rows, 3)


def many_classes() -> xgboost.Booster:
    rows = drawn_rows(np.random.default_rng(4), 300)
    labelled = xgboost.DMatrix(rows, label=np.arange(300) % 3)
    return xgboost.train({"objective": "multi:softprob", "num_class": 3}, labelled, 2)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: grown(5, 3, 4, 0.1, booster="dart"), "a booster of kind dart"),
        (lambda: grown(5, 12, 3, 0.1, min_child_weight=0), r"a tree of depth \d+; the kernel walks 8"),
        (categorical, "a split on categories"),
        (many_classes, "more than one output"),
    ],
)
def test_what_it_cannot_walk_is_refused_with_the_reason(made, said):
    with pytest.raises(UncoveredTreesError, match=said):
        tree_kernel(made())


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match="rows of 6 features, not 5"):
        tree_kernel(grown(6, 2, 2, 0.5)).margins(np.zeros((1, 5), np.float32))
