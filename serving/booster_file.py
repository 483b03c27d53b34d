"""An XGBoost model file, JSON or UBJ, from bytes to a typed document and back, without XGBoost.

Only what scoring needs is read: attributes, settings of the training and what later versions may add are left behind,
so a file that is written from a document holds nothing else of the uploaded one.
"""

import re
from array import array
from typing import Annotated, Any, Literal, get_args

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from serving import ubjson

MOST_BYTES = 64 * 1024 * 1024
Code = Literal[
    "unsupported_kind",
    "too_large",
    "malformed",
    "over_limit",
    "uncovered",
    "wrong_objective",
    "wrong_features",
    "model_rejected",
]
JSON, UBJ = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*["}]'), re.compile(rb"\{[UiIlL]")


class BoosterFileError(ValueError):
    """A file that is no model we serve. `code` is stable; the words never repeat the file's content. `signal` is what
    ended the process that loaded the file, for the audit log."""

    def __init__(self, code: Code, words: str, signal: int | None = None) -> None:
        super().__init__(words)
        self.code: Code = code
        self.signal = signal


Whole = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,9})\Z")]
Natural = Annotated[int, Meta(ge=0, lt=2**31)]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Flags = NDArray[np.uint8]
Floats = NDArray[np.float32]


class TreeParam(Struct):
    num_nodes: Whole
    num_feature: Whole
    num_deleted: Whole = "0"
    size_leaf_vector: Whole = "1"


class Tree(Struct):
    """One entry a node in each array, but in those of categories."""

    tree_param: TreeParam
    id: Natural
    left_children: Ints
    right_children: Ints
    parents: Ints
    split_indices: Ints
    split_conditions: Floats
    split_type: Flags
    default_left: Flags
    base_weights: Floats
    loss_changes: Floats
    sum_hessian: Floats
    categories: Ints
    categories_nodes: Ints
    categories_segments: Longs
    categories_sizes: Longs


class TreesParam(Struct):
    num_trees: Whole
    num_parallel_tree: Whole = "1"


class Trees(Struct):
    gbtree_model_param: TreesParam
    iteration_indptr: list[Natural]
    tree_info: list[Natural]
    trees: list[Tree]


class Gbtree(Struct, tag_field="name", tag="gbtree"):
    model: Trees


class Dart(Struct, tag_field="name", tag="dart"):
    gbtree: Gbtree
    weight_drop: list[float]


class Gblinear(Struct, tag_field="name", tag="gblinear"):
    """Named only to be refused by name."""


class LearnerParam(Struct):
    """`base_score` is "[5E-1]", a list with one entry an output, and was "5E-1" before XGBoost 3.1."""

    base_score: str
    num_feature: Whole
    boost_from_average: Whole = "1"
    num_class: Whole = "0"
    num_target: Whole = "1"


class Objective(Struct):
    name: str


class Learner(Struct):
    gradient_booster: Gbtree | Dart | Gblinear
    learner_model_param: LearnerParam
    objective: Objective
    feature_names: list[str] = []
    feature_types: list[str] = []


class BoosterDocument(Struct):
    learner: Learner
    version: tuple[Natural, Natural, Natural]


def kind_of(content: bytes) -> Literal["json", "ubj"]:
    """By the first bytes alone. Raises BoosterFileError: unsupported_kind, or malformed when there are none."""
    if not content:
        raise BoosterFileError("malformed", "the file is empty")
    if UBJ.match(content):
        return "ubj"
    if JSON.match(content):
        return "json"
    raise BoosterFileError("unsupported_kind", "the file is neither XGBoost JSON nor XGBoost UBJ")


def booster_document(content: bytes) -> BoosterDocument:
    """What a file says, no more than its types checked (see booster_rules). Raises BoosterFileError."""
    if len(content) > MOST_BYTES:
        raise BoosterFileError("too_large", f"the file has over {MOST_BYTES:,} bytes")
    kind = kind_of(content)
    try:
        if kind == "json":
            return msgspec.json.decode(content, type=BoosterDocument, dec_hook=_array)
        return msgspec.convert(ubjson.read(content), BoosterDocument, dec_hook=_array)
    except ubjson.UbjsonLimitError as error:
        raise BoosterFileError("over_limit", str(error)) from None
    except ubjson.UbjsonError as error:
        raise BoosterFileError("malformed", str(error)) from None
    except (RecursionError, MemoryError):
        raise BoosterFileError("over_limit", "the file needs more room or depth than a model does") from None
    except msgspec.ValidationError as error:
        raise BoosterFileError("malformed", f"no XGBoost model is written like this{_where(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BoosterFileError("malformed", "the file is no JSON document") from None


def _where(error: msgspec.ValidationError) -> str:
    """The path in a message: it is made of our own fields' names, the rest may quote the file."""
    _, at, path = str(error).rpartition(" - at `")
    return f", at {path.removesuffix('`')}" if at else ""


def _array(kind: Any, given: object) -> NDArray[Any]:
    """`given`, a list or an array, as an array of exactly the kind of numbers that a field has."""
    dtype = np.dtype(get_args(get_args(kind)[1])[0])
    if isinstance(given, list):
        try:
            given = np.array(array("d" if dtype.kind == "f" else "q", given))
        except (TypeError, OverflowError):
            raise ValueError("not an array of numbers of this kind") from None
    if not isinstance(given, np.ndarray) or (given.dtype.kind == "f") != (dtype.kind == "f"):
        raise ValueError("not an array of numbers of this kind")
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return given.astype(dtype)
    if len(given) and not np.iinfo(dtype).min <= given.min() <= given.max() <= np.iinfo(dtype).max:
        raise ValueError("a number out of range")
    return given.astype(dtype)


def ubj_bytes(document: BoosterDocument) -> bytes:
    """`document` as UBJ that XGBoost loads."""
    content = msgspec.to_builtins(document, builtin_types=(np.ndarray,))
    content["learner"]["objective"]["reg_loss_param"] = {"scale_pos_weight": "1"}  # read, though scoring uses none
    content["learner"]["attributes"] = {}
    return ubjson.written(content)
