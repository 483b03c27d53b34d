"""Small real boosters, as files and as documents to be damaged."""

import copy
import json
from typing import Any

import numpy as np
import xgboost

NAMES = ["ctr", "slot", "hour"]
KINDS = ("json", "ubj")


def drawn_rows(seed: int, count: int = 400) -> np.ndarray[Any, np.dtype[np.float32]]:
    random = np.random.default_rng(seed)
    return random.choice([*np.linspace(-2, 2, 41), np.nan], (count, len(NAMES))).astype(np.float32)


def grown(trees: int = 6, names: list[str] | None = None, **more: object) -> xgboost.Booster:
    rows = drawn_rows(1)
    labels = np.random.default_rng(2).random(len(rows)) < 0.2 + 0.3 * (np.nan_to_num(rows[:, 1]) > 0)
    parameters = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, "seed": 3, **more}
    return xgboost.train(parameters, xgboost.DMatrix(rows, label=labels, feature_names=names), trees)


def saved(booster: xgboost.Booster, kind: str) -> bytes:
    return bytes(booster.save_raw(kind))


def document(booster: xgboost.Booster) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(booster.save_raw("json"))
    return found


def damaged(whole: dict[str, Any], path: tuple[str | int, ...], value: object) -> bytes:
    """JSON of a copy of `whole` with one value exchanged."""
    part = whole = copy.deepcopy(whole)
    for step in path[:-1]:
        part = part[step]  # type: ignore[index]
    part[path[-1]] = value  # type: ignore[index]
    return json.dumps(whole).encode()


MODEL = ("learner", "gradient_booster", "model")
TREE = (*MODEL, "trees", 0)
STUMP = {
    "base_weights": [0.0, 1.0, 2.0],
    "default_left": [0, 0, 0],
    "id": 0,
    "left_children": [1, -1, -1],
    "right_children": [2, -1, -1],
    "parents": [2147483647, 0, 0],
    "loss_changes": [9.0, 0.0, 0.0],
    "split_conditions": [0.5, -1.0, 1.0],
    "split_indices": [1, 0, 0],
    "split_type": [0, 0, 0],
    "sum_hessian": [2.0, 1.0, 1.0],
    "tree_param": {"num_deleted": "0", "num_feature": "3", "num_nodes": "3", "size_leaf_vector": "1"},
    **{name: [] for name in ("categories", "categories_nodes", "categories_segments", "categories_sizes")},
}
"""A tree of three nodes."""
FIVE = {**STUMP["tree_param"], "num_nodes": "5"}  # type: ignore[dict-item]
"""Of a tree of five nodes."""
PRUNED = STUMP | {name: [*values, 0, 0] for name, values in STUMP.items() if isinstance(values, list) and values}
PRUNED |= {"left_children": [1, -1, -1, -1, -1], "right_children": [2, -1, -1, -1, -1]}
PRUNED |= {"tree_param": FIVE | {"num_deleted": "2"}, "parents": [2147483647, 0, 0, 1, 1]}
PRUNED |= {"split_indices": [1, 0, 0, 2147483647, 2147483647], "default_left": [0, 0, 0, 1, 1]}
WHOLE = PRUNED | {"tree_param": FIVE, "split_indices": [0] * 5}


def linked(left: list[int], right: list[int], parents: list[int]) -> dict[str, Any]:
    """A tree of five nodes by its links; the root's parent is left out."""
    return WHOLE | {"left_children": left, "right_children": right, "parents": [2147483647, *parents]}


def line(depth: int) -> dict[str, Any]:
    """A tree whose every right child has children, `depth` times."""
    nodes = 2 * depth + 1
    inner = range(0, 2 * depth, 2)
    left, right = [-1] * nodes, [-1] * nodes
    parents = [2147483647] + [0] * (nodes - 1)
    for node in inner:
        left[node], right[node] = node + 1, node + 2
        parents[node + 1] = parents[node + 2] = node
    same = ("base_weights", "loss_changes", "sum_hessian", "split_conditions", "split_indices", "split_type")
    told = {**STUMP["tree_param"], "num_nodes": str(nodes)}  # type: ignore[dict-item]
    links = {"left_children": left, "right_children": right, "parents": parents, "tree_param": told}
    return STUMP | {name: [0] * nodes for name in (*same, "default_left")} | links
