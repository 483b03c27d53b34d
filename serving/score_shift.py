"""Whether a canary's scores are those of another distribution than the champion's, of the very same ads."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_contracts.sections import Canary

ROWS_OF_A_REQUEST = 10
"""As many ads of a slate count at most: those of one user are alike."""
LEAST_PROBABILITY = 1e-9
LEAST_SPREAD = 0.5
"""In log-odds: of scores that are hardly spread no small difference is a large one."""


class ScoreShift:
    """Gathers pairs of scores until there are `least_rows` of `least_users`, judges these, and begins anew. For one
    thread."""

    def __init__(self, limits: Canary) -> None:
        self._limits = limits
        self._begin()

    def _begin(self) -> None:
        self._canary: list[float] = []
        self._champion: list[float] = []
        self._users: set[str] = set()

    def add(self, user: str, canary: Sequence[float], champion: Sequence[float]) -> str:
        """Both scores of the ads of one request. Why the canary must go, by what came together with these; empty where
        it may stay, or not enough has."""
        self._canary += canary[:ROWS_OF_A_REQUEST]
        self._champion += champion[:ROWS_OF_A_REQUEST]
        self._users.add(user)
        if len(self._canary) < self._limits.least_rows or len(self._users) < self._limits.least_users:
            return ""
        found, reference = np.array(self._canary), np.array(self._champion)
        self._begin()
        ratio = float(found.sum() / max(reference.sum(), LEAST_PROBABILITY))
        if not self._limits.mean_ratio_low <= ratio <= self._limits.mean_ratio_high:
            return f"its scores are {ratio:.2f} times the champion's of the same {len(found):,} ads"
        distance = quantile_distance(found, reference)
        if distance > self._limits.most_quantile_distance:
            return f"its scores of {len(found):,} ads are spread unlike the champion's, by {distance:.2f} deviations"
        return ""


def quantile_distance(found: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Mean distance of the quantiles of two samples of log-odds (Wasserstein's, Vallender 1974), in standard deviations
    of `reference`: 0 is alike, some 0.8 a constant at its mean. Both probabilities (rows,)."""
    own, other = (np.sort(np.log(told / (1 - told))) for told in map(_told, (found, reference)))
    return float(np.abs(own - other).mean() / max(other.std(), LEAST_SPREAD))


def _told(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
