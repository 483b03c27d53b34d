"""Every rule by a file that breaks that one alone; and models as XGBoost trains them break none."""

from typing import Any

import pytest

from serving import booster_rules
from serving.booster_file import BoosterFileError, booster_document
from serving.booster_rules import checked_document
from tests.serving.boosters import (
    KINDS,
    MODEL,
    NAMES,
    PRUNED,
    STUMP,
    TREE,
    damaged,
    document,
    grown,
    line,
    linked,
    saved,
)


@pytest.fixture(scope="module")
def stump() -> dict[str, Any]:
    """A model of one tree with three nodes."""
    whole = document(grown(trees=1))
    whole["learner"]["gradient_booster"]["model"]["trees"] = [STUMP]
    return whole


def refused(content: bytes, names: list[str] = NAMES) -> BoosterFileError:
    read = booster_document(content)
    with pytest.raises(BoosterFileError) as caught:
        checked_document(read, names)
    assert "canary" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "more",
    [
        *({"max_depth": depth} for depth in range(1, 9)),
        {"names": NAMES},
        {"booster": "dart", "rate_drop": 0.5},
        {"tree_method": "exact", "gamma": 2.0},
        {"grow_policy": "lossguide", "max_leaves": 20, "max_depth": 0},
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"base_score": 0.001},
        {"base_score": 0.999},
        {"scale_pos_weight": 3.0},
        {"monotone_constraints": "(1,0,-1)"},
    ],
    ids=str,
)
def test_what_xgboost_trains_is_sound(kind: str, more: dict[str, Any]) -> None:
    read = booster_document(saved(grown(**more), kind))
    checked = checked_document(read, NAMES)
    assert checked.learner.feature_names == checked.learner.feature_types == []


def test_a_tree_with_pruned_nodes_is_among_them() -> None:
    pruned = document(grown(tree_method="exact", gamma=2.0))["learner"]["gradient_booster"]["model"]["trees"]
    assert any(tree["tree_param"]["num_deleted"] != "0" for tree in pruned)


def test_the_stump_that_the_refused_are_made_of_is_sound(stump: dict[str, Any]) -> None:
    checked_document(booster_document(damaged(stump, ("version",), [3, 2, 0])), NAMES)


def test_nodes_that_pruning_left_are_sound(stump: dict[str, Any]) -> None:
    checked_document(booster_document(damaged(stump, TREE, PRUNED)), NAMES)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (linked([1, -1, -1, 3, -1], [2, -1, -1, 4, -1], [0, 0, 3, 3]), "does not come after its parent"),
        (linked([3, -1, -1, 1, -1], [4, -1, -1, 2, -1], [3, 3, 0, 0]), "does not come after its parent"),
        (linked([1, 3, 3, -1, -1], [2, 4, 4, -1, -1], [0, 0, 1, 1]), "not exactly one parent"),
        (linked([1, -1, -1, -1, -1], [2, -1, -1, -1, -1], [0, 0, 1, 1]), "not exactly one parent"),
        (linked([1, 3, -1, -1, -1], [2, 5, -1, -1, -1], [0, 0, 1, 1]), "does not exist"),
        (PRUNED | {"parents": [2147483647, 0, 0, 1, 5]}, "a parent that does not exist"),
        (
            PRUNED | {"left_children": [1, 3, -1, -1, -1], "right_children": [2, 4, -1, -1, -1]},
            "not exactly one parent",
        ),
        (PRUNED | {"left_children": [1, -1, -1, 4, -1], "right_children": [2, -1, -1, 4, -1]}, "pruned nodes"),
    ],
    ids=["a cycle", "backwards", "two parents", "none", "out of range", "pruned from nowhere", "kept", "with children"],
)
def test_nodes_that_are_no_tree_are_malformed(stump: dict[str, Any], tree: dict[str, Any], words: str) -> None:
    error = refused(damaged(stump, TREE, tree))
    assert error.code == "malformed"
    assert words in str(error)


def changed(name: str, *values: float) -> tuple[tuple[str | int, ...], object]:
    return (*TREE, name), list(values)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        changed("left_children", 3, -1, -1),
        changed("left_children", 2**30, -1, -1),
        changed("left_children", -2, -1, -1),
        changed("left_children", 0, -1, -1),
        changed("left_children", 2, -1, -1),
        changed("left_children", -1, -1, -1),
        changed("left_children", 1, 0, -1),
        changed("left_children", 1, 1, -1),
        changed("left_children", 1, -1),
        changed("left_children"),
        changed("right_children", 1, -1, -1),
        changed("right_children", 3, -1, -1),
        changed("right_children", -1, -1, -1),
        changed("parents", 2147483647, 0, 1),
        changed("parents", 2147483647, 0, 3),
        changed("parents", 2147483647, 0, -1),
        changed("parents", 0, 0, 0),
        changed("split_indices", 3, 0, 0),
        changed("split_indices", -1, 0, 0),
        changed("split_indices", 1, 0, 2147483647),
        changed("split_indices", 1, 0),
        changed("split_conditions", 0.5, -1.0),
        changed("split_conditions", 1e39, -1.0, 1.0),
        changed("split_conditions", 0.5, 1.0, -1e300),
        changed("split_conditions", 0.5, 3.4e38, 0.0, 0.0),
        changed("base_weights", 1e39, 0.0, 0.0),
        changed("sum_hessian", 0.0, 0.0),
        changed("loss_changes"),
        changed("default_left", 2, 0, 0),
        changed("default_left", 0, 0),
        changed("split_type", 0),
        changed("categories", 1),
        changed("categories_segments", 1),
        changed("categories_sizes", 1),
        ((*TREE, "tree_param", "num_nodes"), "4"),
        ((*TREE, "tree_param", "num_feature"), "4"),
        ((*TREE, "tree_param", "num_deleted"), "1"),
        ((*TREE, "id"), 1),
        ((*MODEL, "trees"), []),
        ((*MODEL, "trees"), [STUMP, STUMP]),
        ((*MODEL, "tree_info"), [1]),
        ((*MODEL, "tree_info"), []),
        ((*MODEL, "tree_info"), [0, 0]),
        ((*MODEL, "iteration_indptr"), []),
        ((*MODEL, "iteration_indptr"), [1, 1]),
        ((*MODEL, "iteration_indptr"), [0, 2]),
        ((*MODEL, "iteration_indptr"), [0, 2, 1]),
        ((*MODEL, "gbtree_model_param", "num_trees"), "2"),
        ((*MODEL, "gbtree_model_param", "num_parallel_tree"), "0"),
        ((*MODEL, "gbtree_model_param", "num_parallel_tree"), "2"),
        *(
            (("learner", "learner_model_param", "base_score"), text)
            for text in ("0", "1", "[0E0]", "[1E0]", "0.99999999999", "1e-60", "-5E-1", "nan", "inf", "canary", "",
                         "[]", "[5E-1", "5E-1]", "[5E-1,5E-1]", "5E-1\n", "..", "[[5E-1]]")
        ),
        (("learner", "learner_model_param", "boost_from_average"), "2"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_walked_is_malformed(
    stump: dict[str, Any], path: tuple[str | int, ...], value: object
) -> None:
    assert refused(damaged(stump, path, value)).code == "malformed"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        changed("split_type", 1, 0, 0),
        changed("categories_nodes", 0),
        ((*TREE, "tree_param", "size_leaf_vector"), "2"),
        (("learner", "learner_model_param", "num_class"), "2"),
        (("learner", "learner_model_param", "num_target"), "2"),
        (("learner", "learner_model_param", "num_target"), "0"),
        (("learner", "feature_types"), ["float", "c", "float"]),
        (("learner", "gradient_booster"), {"name": "gblinear", "model": {"weights": [1.0]}}),
        (("version",), [4, 0, 0]),
    ],
)
def test_a_sound_model_of_a_kind_that_is_not_served_is_uncovered(
    stump: dict[str, Any], path: tuple[str | int, ...], value: object
) -> None:
    assert refused(damaged(stump, path, value)).code == "uncovered"


@pytest.mark.parametrize(
    "objective", ["reg:logistic", "binary:logitraw", "reg:squarederror", "rank:pairwise", "canary"]
)
def test_another_objective_is_refused(stump: dict[str, Any], objective: str) -> None:
    assert refused(damaged(stump, ("learner", "objective", "name"), objective)).code == "wrong_objective"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "names", [["slot", "ctr", "hour"], ["ctr", "slot"], [*NAMES, "age"], ["ctr", "slot", "canary"]]
)
def test_other_features_or_another_order_is_refused(kind: str, names: list[str]) -> None:
    assert refused(saved(grown(names=NAMES), kind), names).code == "wrong_features"


def test_without_names_the_number_of_features_decides() -> None:
    content = saved(grown(), "ubj")
    checked_document(booster_document(content), ["a", "b", "c"])
    assert refused(content, ["a", "b"]).code == "wrong_features"


def test_a_dart_model_needs_a_finite_weight_for_each_tree() -> None:
    whole = document(grown(booster="dart", rate_drop=0.5, trees=2))
    for weights in ([1.0], [], [1.0, 1e39], [1.0, 1.0, 1.0]):
        assert refused(damaged(whole, ("learner", "gradient_booster", "weight_drop"), weights)).code == "malformed"


def test_leaves_that_add_up_to_infinity_are_malformed() -> None:
    whole = document(grown(trees=2, max_depth=1))
    for tree in whole["learner"]["gradient_booster"]["model"]["trees"]:
        tree["split_conditions"] = [0.0, 3e38, 3e38]
    assert "add up" in str(refused(damaged(whole, ("version",), [3, 2, 0])))


def test_trees_are_32_deep_and_no_deeper(stump: dict[str, Any]) -> None:
    checked_document(booster_document(damaged(stump, TREE, line(32))), NAMES)
    assert refused(damaged(stump, TREE, line(33))).code == "over_limit"


def test_more_trees_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(grown(trees=4), "ubj")
    monkeypatch.setattr(booster_rules, "MOST_TREES", 4)
    checked_document(booster_document(content), NAMES)
    monkeypatch.setattr(booster_rules, "MOST_TREES", 3)
    assert refused(content).code == "over_limit"
