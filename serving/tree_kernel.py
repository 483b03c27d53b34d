"""XGBoost's trees as machine code for a few rows: the margins are those of Booster.predict(output_margin=True), bit for
bit.

All trees are laid out as perfect ones of the same depth: of the node at place n the children are at 2n + 1 and 2n + 2,
so a tree is `depth` comparisons and no pointer. Leaves are summed in the trees' order from the base margin on, in
float32, as XGBoost's CPU predictor does it.
"""

import copy
import json
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import xgboost
from numpy.typing import NDArray

MOST_DEPTH = 8
"""A perfect tree has 2 ** depth leaves, full or not: beyond this XGBoost itself is the better choice."""

Rows = NDArray[np.float32]


class UncoveredTreesError(ValueError):
    """Trees that the kernel does not know how to walk; the message says why."""


@dataclass(frozen=True)
class TreeKernel:
    """`features`, `thresholds`, `is_left_default` (trees, 2 ** depth - 1) of the inner nodes and `leaves`
    (trees, 2 ** depth); a row's margin starts from `start` unless it brings its own."""

    features: NDArray[np.uint32]
    thresholds: NDArray[np.float32]
    is_left_default: NDArray[np.uint32]
    leaves: NDArray[np.float32]
    start: np.float32
    width: int

    def margins(self, rows: Rows, starts: Rows | None = None) -> Rows:
        """Log-odds before calibration of `rows` (rows, features), NaN where a feature is missing, each from its own of
        `starts` (rows) where these are given."""
        if rows.shape[1] != self.width:
            raise ValueError(f"rows of {self.width} features, not {rows.shape[1]}")
        found = np.full(len(rows), self.start, np.float32) if starts is None else starts.astype(np.float32)
        _walk(
            np.ascontiguousarray(rows, np.float32),
            self.features,
            self.thresholds,
            self.is_left_default,
            self.leaves,
            found,
        )
        return found


@numba.njit(
    "void(float32[:, ::1], uint32[:, ::1], float32[:, ::1], uint32[:, ::1], float32[:, ::1], float32[::1])", nogil=True
)
def _walk(rows, features, thresholds, is_left_default, leaves, found):  # type: ignore[no-untyped-def]
    """All trees a level at a time: their loads do not wait for each other, as those of one tree's levels do. Places are
    unsigned, since numba looks of a signed one whether it counts from the end: that takes as long again."""
    trees, inner = np.uint32(features.shape[0]), np.uint32(features.shape[1])
    one, two = np.uint32(1), np.uint32(2)
    places = np.empty(trees, np.uint32)
    for number in range(np.uint32(rows.shape[0])):
        row = rows[number]
        places[:] = 0
        first = np.uint32(0)
        while first < inner:
            for tree in range(trees):
                place = places[tree]
                value = row[features[tree, place]]
                is_left = np.uint32(value < thresholds[tree, place])
                is_left |= is_left_default[tree, place] & np.uint32(value != value)
                places[tree] = two * place + two - is_left
            first = two * first + one
        margin = found[number]
        for tree in range(trees):
            margin += leaves[tree, places[tree] - inner]
        found[number] = margin


def tree_kernel(booster: xgboost.Booster) -> TreeKernel:
    """The kernel of a booster, all its trees. Raises UncoveredTreesError for what is not a gbtree of one output with
    numeric splits and trees of at most MOST_DEPTH."""
    document = json.loads(booster.save_raw("json"))
    learner = document["learner"]
    _check(learner)
    trees = learner["gradient_booster"]["model"]["trees"]
    depth = max(map(_depth, trees), default=0)
    if depth > MOST_DEPTH:
        raise UncoveredTreesError(f"a tree of depth {depth}; the kernel walks {MOST_DEPTH}")
    inner = 2**depth - 1
    features = np.zeros((len(trees), inner), np.uint32)
    thresholds = np.zeros((len(trees), inner), np.float32)
    is_left_default = np.zeros((len(trees), inner), np.uint32)
    leaves = np.zeros((len(trees), inner + 1), np.float32)
    for number, tree in enumerate(trees):
        _lay_out(tree, features[number], thresholds[number], is_left_default[number], leaves[number])
    width = int(learner["learner_model_param"]["num_feature"])
    return TreeKernel(features, thresholds, is_left_default, leaves, _start(document), width)


def _check(learner: dict[str, Any]) -> None:
    kind, model = learner["gradient_booster"]["name"], learner["learner_model_param"]
    if kind != "gbtree":
        raise UncoveredTreesError(f"a booster of kind {kind}")
    if int(model["num_class"]) > 1 or int(model.get("num_target", 1)) > 1:
        raise UncoveredTreesError("more than one output")
    for tree in learner["gradient_booster"]["model"]["trees"]:
        if any(tree["split_type"]):
            raise UncoveredTreesError("a split on categories")


def _depth(tree: dict[str, Any]) -> int:
    """Comparisons from the root to the farthest leaf; parents come before their children."""
    depths = [0] * len(tree["left_children"])
    for place, (left, right) in enumerate(zip(tree["left_children"], tree["right_children"], strict=True)):
        if left >= 0:
            depths[left] = depths[right] = depths[place] + 1
    return max(depths)


def _lay_out(
    tree: dict[str, Any],
    features: NDArray[np.uint32],
    thresholds: NDArray[np.float32],
    is_left_default: NDArray[np.uint32],
    leaves: NDArray[np.float32],
) -> None:
    """Fills one perfect tree; below a leaf that comes early every leaf is that one."""
    inner = len(features)
    waiting = [(0, 0)]
    while waiting:
        node, place = waiting.pop()
        is_leaf = tree["left_children"][node] < 0
        if place >= inner:
            leaves[place - inner] = tree["split_conditions"][node]
            continue
        if not is_leaf:
            features[place], thresholds[place] = tree["split_indices"][node], tree["split_conditions"][node]
            is_left_default[place] = tree["default_left"][node]
        children = (node, node) if is_leaf else (tree["left_children"][node], tree["right_children"][node])
        waiting += [(child, 2 * place + 1 + side) for side, child in enumerate(children)]


def _start(document: dict[str, Any]) -> np.float32:
    """The margin of no tree, asked of XGBoost itself: its float32 logarithm is not NumPy's."""
    bare = copy.deepcopy(document)
    model = bare["learner"]["gradient_booster"]["model"]
    model |= {"trees": [], "tree_info": [], "iteration_indptr": [0]}
    model["gbtree_model_param"]["num_trees"] = "0"
    told = bare["learner"]["learner_model_param"]
    told["boost_from_average"] = "0"  # else a model without trees is taken for one whose base is still to be found
    width = int(told["num_feature"])
    booster = xgboost.Booster(model_file=bytearray(json.dumps(bare).encode()))
    row = xgboost.DMatrix(np.zeros((1, width), np.float32))
    return np.float32(booster.predict(row, output_margin=True)[0])
