"""The feature functions as one machine-code function over rows of inputs, for Spark, training and serving alike.

The plain functions stay the definition: they are composed by their signatures and compiled by numba, without any
arithmetic that is less exact.
"""

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from data_contracts import machine_code
from data_contracts.feature_set_files import FeatureSetError
from data_contracts.features import FeatureSet

SIGNATURE = "(float64[:, ::1], float32[:, ::1])"

Matrix = Callable[[NDArray[np.float64]], NDArray[np.float32]]


@lru_cache(maxsize=16)
def compiled(feature_set: FeatureSet) -> Matrix:
    """From inputs (rows, input_names) to features (rows, feature_names), as FeatureSet.row gives them in float32.

    Raises FeatureSetError where numba cannot compile a function.
    """
    rows = _rows_function(feature_set)
    width = len(feature_set.features)

    def features(inputs: NDArray[np.float64]) -> NDArray[np.float32]:
        found = np.empty((len(inputs), width), np.float32)
        rows(np.ascontiguousarray(inputs, np.float64), found)
        return found

    return features


def _rows_function(feature_set: FeatureSet) -> Any:
    namespace, source = _jitted(feature_set), _source(feature_set)
    file = machine_code.kept(source, f"{feature_set.hash}{_constants(feature_set)}")
    exec(compile(source, str(file or f"<rows of {feature_set.name}>"), "exec"), namespace)
    try:
        found = numba.njit(SIGNATURE, nogil=True, cache=file is not None)(namespace["_rows"])
    except numba.core.errors.NumbaError as error:
        reason = str(error).strip().splitlines()
        raise FeatureSetError(f"{feature_set.path}: numba cannot compile its functions: {reason[0]}") from error
    if file is not None:
        machine_code.vouch(file)
    return found


def _constants(feature_set: FeatureSet) -> list[tuple[str, str]]:
    """What the file has from elsewhere, besides functions."""
    values = feature_set.functions[0].function.__globals__.items()
    plain = {name: value for name, value in values if isinstance(value, int | float | str | tuple)}
    return sorted((name, repr(value)) for name, value in plain.items() if not name.startswith("__"))


def _jitted(feature_set: FeatureSet) -> dict[str, Any]:
    """The names of the feature set's file, with each of its functions compiled, those they call too."""
    original = feature_set.functions[0].function.__globals__
    namespace = dict(original)
    for name, value in original.items():
        if isinstance(value, FunctionType) and value.__globals__ is original:
            namespace[name] = numba.njit(nogil=True)(FunctionType(value.__code__, namespace, name, value.__defaults__))
    return namespace


def _source(feature_set: FeatureSet) -> str:
    """One function that reads a row's inputs, calls each function in order and writes the features."""
    places = {name: f"inputs[row, {place}]" for place, name in enumerate(feature_set.input_names)}
    lines = ["def _rows(inputs, found):", "    for row in range(inputs.shape[0]):"]
    for number, each in enumerate(feature_set.functions):
        arguments = ", ".join(places[parameter] for parameter in each.parameters)
        lines.append(f"        value_{number} = {each.name}({arguments})")
        places[each.name] = f"value_{number}"
    for place, name in enumerate(feature_set.feature_names):
        lines.append(f"        found[row, {place}] = {places[name]}")
    return "\n".join(lines)
