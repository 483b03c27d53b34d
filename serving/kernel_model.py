"""A registered model over rows of inputs: its trees walked by the kernel, the same probabilities bit for bit, sooner;
or as it is, where the kernel does not know its trees."""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import xgboost
from numpy.typing import NDArray

from data_contracts.calibration import Calibration
from data_contracts.compiled import Matrix
from data_contracts.features import FeatureSet
from serving.tree_kernel import TreeKernel, UncoveredTreesError, tree_kernel

Inputs = NDArray[np.float64]
"""(rows, input_names of the feature set); NaN is a number that is not there."""


class ProbabilityModel(Protocol):
    """What serving needs of a registered model."""

    feature_set: FeatureSet

    def probabilities(self, rows: Sequence[Mapping[str, float]]) -> list[float]: ...


@runtime_checkable
class BoostedModel(ProbabilityModel, Protocol):
    """One that shows its parts: inputs -> features -> margins of the booster -> calibrated probabilities."""

    features: Matrix
    booster: xgboost.Booster
    calibration: Calibration


class RowModel(Protocol):
    """What scores rows of inputs."""

    feature_set: FeatureSet

    def scored(self, inputs: Inputs) -> list[float]: ...


class KernelModel:
    """The probabilities of `model`, its trees walked by `kernel`."""

    def __init__(self, model: BoostedModel, kernel: TreeKernel) -> None:
        self.feature_set = model.feature_set
        self._features, self._calibration, self._kernel = model.features, model.calibration, kernel

    def scored(self, inputs: Inputs) -> list[float]:
        features = self._features(inputs)
        base = self.feature_set.base_place
        margins = self._kernel.margins(features, None if base is None else features[:, base])
        return self._calibration.probabilities(margins.tolist())


class PlainModel:
    """The probabilities of `model` by its own way."""

    def __init__(self, model: ProbabilityModel) -> None:
        self.feature_set = model.feature_set
        self._model = model

    def scored(self, inputs: Inputs) -> list[float]:
        names = self.feature_set.input_names
        rows = [
            {name: value for name, value in zip(names, row, strict=True) if not math.isnan(value)}
            for row in inputs.tolist()
        ]
        return self._model.probabilities(rows)


def with_kernel(model: ProbabilityModel) -> tuple[RowModel, str]:
    """`model` with its trees walked by the kernel; or as it is, and why."""
    if not isinstance(model, BoostedModel):
        return PlainModel(model), "it does not show its trees"
    try:
        return KernelModel(model, tree_kernel(model.booster)), ""
    except UncoveredTreesError as error:
        return PlainModel(model), str(error)
