"""A registered model with its trees walked by the kernel: the same probabilities, bit for bit, sooner."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import xgboost

from data_contracts.calibration import Calibration
from data_contracts.compiled import Matrix
from data_contracts.features import FeatureSet
from serving.tree_kernel import TreeKernel, UncoveredTreesError, tree_kernel


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


class KernelModel:
    """The probabilities of `model`, its trees walked by `kernel`."""

    def __init__(self, model: BoostedModel, kernel: TreeKernel) -> None:
        self.feature_set = model.feature_set
        self._features, self._calibration, self._kernel = model.features, model.calibration, kernel

    def probabilities(self, rows: Sequence[Mapping[str, float]]) -> list[float]:
        """Of each row of inputs; KeyError on a missing request field."""
        features = self._features(np.array([self.feature_set.input_row(row) for row in rows]))
        base = self.feature_set.base_place
        margins = self._kernel.margins(features, None if base is None else features[:, base])
        return self._calibration.probabilities(margins.tolist())


def with_kernel(model: ProbabilityModel) -> tuple[ProbabilityModel, str]:
    """`model` with its trees walked by the kernel; or as it is, and why."""
    if not isinstance(model, BoostedModel):
        return model, "it does not show its trees"
    try:
        return KernelModel(model, tree_kernel(model.booster)), ""
    except UncoveredTreesError as error:
        return model, str(error)
