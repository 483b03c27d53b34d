"""The reliability curve: do impressions said to be clicked at 1 % get clicked at 1 %?"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ml.metrics import Floats, Interval, Labels

MOST_BINS = 10
CLICKS_PER_BIN = 10
"""With fewer, a bin's error bar says nothing."""
Z_95 = 1.96


@dataclass(frozen=True)
class Bin:
    """Impressions of neighbouring scores: their mean score, and the CTR observed with its 95 % interval."""

    impressions: int
    clicks: int
    predicted_ctr: float
    interval: Interval

    @property
    def observed_ctr(self) -> float:
        return self.clicks / self.impressions


def wilson_interval(clicks: int, impressions: int) -> Interval:
    """95 % interval of a rate, sound for few clicks too (Wilson 1927)."""
    rate, weight = clicks / impressions, Z_95**2 / impressions
    centre = (rate + weight / 2) / (1 + weight)
    half = Z_95 / (1 + weight) * math.sqrt(rate * (1 - rate) / impressions + weight / (4 * impressions))
    return max(0.0, centre - half), min(1.0, centre + half)


def reliability_bins(labels: Labels, probabilities: Floats) -> list[Bin]:
    """Bins of about equally many impressions, lowest scores first; equal scores share a bin."""
    wanted = min(MOST_BINS, max(1, int(labels.sum()) // CLICKS_PER_BIN))
    edges = np.unique(np.quantile(probabilities, np.arange(1, wanted) / wanted))
    places = np.searchsorted(edges, probabilities, side="right")
    found = []
    for place in np.unique(places):
        rows = places == place
        impressions, clicks = int(rows.sum()), int(labels[rows].sum())
        found.append(Bin(impressions, clicks, float(probabilities[rows].mean()), wilson_interval(clicks, impressions)))
    return found


def draw_reliability(bins: list[Bin], title: str, ratio: float, path: Path) -> None:
    """A PNG: observed CTR with 95 % intervals over predicted CTR, and the diagonal that a calibrated model follows."""
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.add_subplot()
    predicted = 100 * np.array([part.predicted_ctr for part in bins])
    observed = 100 * np.array([part.observed_ctr for part in bins])
    lows, highs = (100 * np.array(ends) for ends in zip(*[part.interval for part in bins], strict=True))
    top = 1.08 * max(highs.max(), predicted.max())
    axes.plot([0, top], [0, top], color="0.6", linestyle="--", linewidth=1, label="calibrated")
    axes.errorbar(
        predicted, observed, yerr=[observed - lows, highs - observed],
        fmt="o", markersize=5, capsize=3, label="observed, 95 % interval",
    )  # fmt: skip
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="predicted CTR (%)", ylabel="observed CTR (%)")
    clicks, impressions = sum(part.clicks for part in bins), sum(part.impressions for part in bins)
    axes.set_title(
        f"{title}: {clicks:,} clicks in {impressions:,} impressions, {len(bins)} bins by score\n"
        f"calibration ratio {ratio:.3f} (expected / observed clicks)",
        fontsize=10,
    )
    axes.grid(color="0.92")
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=120)
