"""Whether a canary's scores are those of another distribution than the champion's, of the very same ads."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_contracts.sections import Canary

BINS = 10
SMOOTHING = 0.5
"""Rows that are added to each bin: an empty one would make the index infinite."""


class ScoreShift:
    """Gathers pairs of scores until there are `least_rows`, judges these, and begins anew. For one thread."""

    def __init__(self, limits: Canary) -> None:
        self._limits = limits
        self._canary: list[float] = []
        self._champion: list[float] = []

    def add(self, canary: Sequence[float], champion: Sequence[float]) -> str:
        """Why the canary must go, by what came together with these; empty where it may stay, or not enough has."""
        self._canary += canary
        self._champion += champion
        if len(self._canary) < self._limits.least_rows:
            return ""
        found, reference = np.array(self._canary), np.array(self._champion)
        self._canary, self._champion = [], []
        ratio = float(found.sum() / max(reference.sum(), 1e-12))
        if not self._limits.mean_ratio_low <= ratio <= self._limits.mean_ratio_high:
            return f"its scores are {ratio:.2f} times the champion's of the same {len(found):,} ads"
        index = stability_index(found, reference)
        if index > self._limits.most_stability_index:
            return f"its scores of {len(found):,} ads are spread unlike the champion's: stability index {index:.2f}"
        return ""


def stability_index(found: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Population stability index (Siddiqi 2006, "Credit Risk Scorecards", chapter 9): sum over the deciles of
    `reference` of (p - q) ln(p / q), p and q the shares of each in them; 0 is alike, 0.25 and more another
    population. Both (rows,)."""
    edges = np.unique(np.quantile(reference, np.arange(1, BINS) / BINS))
    shares = []
    for scores in (found, reference):
        counts = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=len(edges) + 1) + SMOOTHING
        shares.append(counts / counts.sum())
    here, there = shares
    return float(((here - there) * np.log(here / there)).sum())
