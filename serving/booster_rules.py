"""What an uploaded model must be: binary:logistic, one output, sound trees of numeric splits, the features we serve.

XGBoost itself walks whatever a file says and does not look whether a child, a feature or an output exists.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from serving.booster_file import (
    BoosterDocument,
    BoosterFileError,
    Dart,
    Gblinear,
    Learner,
    LearnerParam,
    Tree,
    Trees,
)

OBJECTIVE = "binary:logistic"
MOST_TREES, MOST_DEPTH = 5_000, 32
NO_PARENT = 2**31 - 1
"""Of the root, as XGBoost writes it."""
PRUNED = 2**31 - 1
"""The split index of a node that pruning left without parent."""
BASE_SCORE = re.compile(r"\[?([0-9.eE+-]{1,32})\]?")
LARGEST = float(np.finfo(np.float32).max)
NEWEST_FORMAT = 3
"""The major version of the XGBoost that loads the file; a later one's may mean something else by the same words."""


def checked_document(document: BoosterDocument, feature_names: Sequence[str]) -> BoosterDocument:
    """`document`, without the names and types of its features, once it is a model of these features that XGBoost can
    walk. Raises BoosterFileError."""
    learner = document.learner
    if document.version[0] > NEWEST_FORMAT:
        raise BoosterFileError("uncovered", f"written by XGBoost {NEWEST_FORMAT + 1} or later")
    if learner.objective.name != OBJECTIVE:
        raise BoosterFileError("wrong_objective", f"the objective is not {OBJECTIVE}")
    _check_features(learner, feature_names)
    base_score = _checked_base_score(learner.learner_model_param)
    model, weights = _trees(learner)
    _check_counts(model)
    largest = base_score
    for tree, weight in zip(model.trees, weights, strict=True):
        _check_tree(tree, len(feature_names))
        largest += abs(float(weight)) * float(np.abs(tree.split_conditions).max())
    if largest > LARGEST:
        raise BoosterFileError("malformed", "the leaves add up to more than a float32 holds")
    learner.feature_names, learner.feature_types = [], []
    return document


def _check_features(learner: Learner, feature_names: Sequence[str]) -> None:
    if "c" in learner.feature_types:
        raise BoosterFileError("uncovered", "a feature of categories")
    if int(learner.learner_model_param.num_feature) != len(feature_names):
        raise BoosterFileError("wrong_features", f"the model does not have {len(feature_names)} features")
    if learner.feature_names and learner.feature_names != list(feature_names):
        raise BoosterFileError("wrong_features", "the model's features are others, or in another order")


def _checked_base_score(told: LearnerParam) -> float:
    """The probability from which the trees start; one output is seen to on the way."""
    if int(told.num_class) > 1 or int(told.num_target) != 1:
        raise BoosterFileError("uncovered", "the model has more than one output")
    if told.boost_from_average not in "01":
        raise BoosterFileError("malformed", "boost_from_average is neither 0 nor 1")
    found = BASE_SCORE.fullmatch(told.base_score)
    try:
        base_score = float(found[1]) if found else 0.0
    except ValueError:
        base_score = 0.0
    # XGBoost takes its logarithm in float32, where what is nearer to 1 is 1
    if not 0 < np.float32(base_score) < 1 or told.base_score.startswith("[") != told.base_score.endswith("]"):
        raise BoosterFileError("malformed", "base_score is no probability between 0 and 1")
    return base_score


def _trees(learner: Learner) -> tuple[Trees, NDArray[np.float64]]:
    """The trees, and by how much each counts."""
    booster = learner.gradient_booster
    if isinstance(booster, Gblinear):
        raise BoosterFileError("uncovered", "the booster is gblinear, not of trees")
    if not isinstance(booster, Dart):
        return booster.model, np.ones(len(booster.model.trees))
    weights = np.array(booster.weight_drop, np.float64)
    if len(weights) != len(booster.gbtree.model.trees) or not (np.abs(weights) <= LARGEST).all():
        raise BoosterFileError("malformed", "weight_drop does not hold a finite weight for each tree")
    return booster.gbtree.model, weights


def _check_counts(model: Trees) -> None:
    count, told = len(model.trees), model.gbtree_model_param
    if count > MOST_TREES:
        raise BoosterFileError("over_limit", f"the model has over {MOST_TREES:,} trees")
    if not count or int(told.num_trees) != count or model.tree_info != [0] * count:
        raise BoosterFileError("malformed", "num_trees, tree_info and the trees do not agree, or there is no tree")
    if [tree.id for tree in model.trees] != list(range(count)):  # XGBoost puts a tree where its id says
        raise BoosterFileError("malformed", "the trees' ids do not count up from 0")
    if not 1 <= int(told.num_parallel_tree) <= count:
        raise BoosterFileError("malformed", "num_parallel_tree is not between 1 and the number of trees")
    rounds = model.iteration_indptr
    if not rounds or rounds[0] != 0 or rounds[-1] != count or rounds != sorted(rounds):
        raise BoosterFileError("malformed", "iteration_indptr does not rise from 0 to the number of trees")


def _check_tree(tree: Tree, features: int) -> None:
    """A root from which every node but the pruned is reached once; XGBoost gives children higher places than parents,
    so that looking at each node alone shows it."""
    told, nodes = tree.tree_param, len(tree.left_children)
    if len(tree.categories_nodes) or tree.split_type.any():
        raise BoosterFileError("uncovered", "a split on categories")
    if int(told.size_leaf_vector) > 1:
        raise BoosterFileError("uncovered", "leaves of more than one value")
    if not nodes or int(told.num_nodes) != nodes or int(told.num_feature) != features or _lengths(tree) != {nodes}:
        raise BoosterFileError("malformed", "a tree's arrays are not of num_nodes entries, or not of these features")
    if len(tree.categories) or len(tree.categories_segments) or len(tree.categories_sizes):
        raise BoosterFileError("malformed", "categories without a split on them")
    if not all(np.isfinite(each).all() for each in _floats(tree)):
        raise BoosterFileError("malformed", "a threshold, leaf or statistic that is not finite")
    if tree.default_left.max() > 1:
        raise BoosterFileError("malformed", "default_left is neither 0 nor 1")
    _check_links(tree, features)
    _check_depth(tree)


def _lengths(tree: Tree) -> set[int]:
    links = (tree.right_children, tree.parents, tree.split_indices)
    flags = (tree.split_type, tree.default_left)
    return {*map(len, links), *map(len, flags), *map(len, _floats(tree))}


def _floats(tree: Tree) -> tuple[NDArray[np.float32], ...]:
    return tree.split_conditions, tree.base_weights, tree.loss_changes, tree.sum_hessian


def _check_links(tree: Tree, features: int) -> None:
    places = np.arange(len(tree.parents))
    left, right, parents = tree.left_children, tree.right_children, tree.parents
    # XGBoost tells a pruned node by these two together
    pruned = (tree.split_indices == PRUNED) & (tree.default_left == 1)
    inner = left != -1
    if (
        (inner != (right != -1)).any()
        or (inner & pruned).any()
        or np.count_nonzero(pruned) != int(tree.tree_param.num_deleted)
    ):
        raise BoosterFileError("malformed", "a node with one child, or pruned nodes that are not as many as told")
    if ((tree.split_indices < 0) | (tree.split_indices >= features))[~pruned].any():
        raise BoosterFileError("malformed", "a split on a feature that does not exist")
    children = np.concatenate([left[inner], right[inner]])
    above = np.concatenate([places[inner], places[inner]])
    if (children <= above).any():
        raise BoosterFileError("malformed", "a child that does not come after its parent")
    reached = np.sort(np.concatenate([np.zeros(1, children.dtype), children]))
    if not np.array_equal(reached, places[~pruned]):
        raise BoosterFileError("malformed", "a child that does not exist, or a node that has not exactly one parent")
    if parents[0] not in (-1, NO_PARENT) or (parents[children] != above).any():
        raise BoosterFileError("malformed", "parents that are not those of the children")
    if ((parents < 0) | (parents >= len(places)))[1:].any():
        raise BoosterFileError("malformed", "a parent that does not exist")


def _check_depth(tree: Tree) -> None:
    level = np.zeros(1, np.int32)
    for _ in range(MOST_DEPTH + 1):
        inner = level[tree.left_children[level] != -1]
        level = np.concatenate([tree.left_children[inner], tree.right_children[inner]])
        if not len(level):
            return
    raise BoosterFileError("over_limit", f"a tree deeper than {MOST_DEPTH}")
