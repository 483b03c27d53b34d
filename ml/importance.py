"""What the trees rest on: gain by feature, and SHAP values of a sample as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ml.metrics import Floats

SAMPLE_ROWS = 2000
MOST_SHOWN = 20
"""Features in the picture; the table has them all."""
PLACES = 60
"""Places along a strip, within which its dots are put side by side."""


@dataclass(frozen=True)
class Importance:
    """One feature: XGBoost's gain summed over its splits (twice the log loss it saves, less what
    reg_lambda costs), splits, and mean |SHAP|."""

    feature: str
    total_gain: float
    splits: int
    mean_absolute_shap: float


def sampled(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most SAMPLE_ROWS rows, spread evenly, in memory."""
    chosen = np.unique(np.linspace(0, len(features) - 1, SAMPLE_ROWS).astype(np.int64))
    return np.array(features[chosen])


def shap_values(trees: xgboost.Booster, rows: NDArray[np.float32], base: int | None = None) -> Floats:
    """SHAP values (rows, features) on the margin, before calibration (Lundberg et al. 2020, by pred_contribs). The
    feature at the place `base`, from which trees start, adds what it is above its mean, too."""
    found = trees.predict(xgboost.DMatrix(rows), pred_contribs=True)[:, :-1].astype(np.float64)
    if base is not None:
        found[:, base] += rows[:, base] - rows[:, base].mean(dtype=np.float64)
    return found


def importances(trees: xgboost.Booster, names: Sequence[str], shap: Floats) -> list[Importance]:
    """Of every feature, the greatest gain first; one that no tree splits on has 0."""
    gains: dict[str, Any] = trees.get_score(importance_type="total_gain")
    splits: dict[str, Any] = trees.get_score(importance_type="weight")
    found = [
        Importance(name, gains.get(key, 0.0), int(splits.get(key, 0)), float(np.abs(shap[:, place]).mean()))
        for place, (key, name) in enumerate((f"f{place}", name) for place, name in enumerate(names))
    ]
    return sorted(found, key=lambda each: -each.total_gain)


def draw_shap(names: Sequence[str], rows: NDArray[np.float32], shap: Floats, title: str, path: Path) -> None:
    """A PNG: mean |SHAP| as bars, and beside them a dot for each row, coloured by how high the feature's value is."""
    size = np.abs(shap).mean(axis=0)
    shown = np.argsort(size, kind="stable")[-MOST_SHOWN:]
    figure = Figure(figsize=(11, 1.6 + 0.34 * len(shown)), layout="constrained")
    bars, strips = figure.subplots(1, 2, sharey=True, width_ratios=(1, 2))
    places = np.arange(len(shown))
    bars.barh(places, size[shown], color="0.55", height=0.6)
    bars.set(yticks=places, yticklabels=[names[place] for place in shown], xlabel="mean |SHAP| (log-odds)")
    bars.grid(axis="x", color="0.92")
    bars.set_axisbelow(True)
    for place, feature in zip(places, shown, strict=True):
        _draw_strip(strips, float(place), rows[:, feature], shap[:, feature])
    strips.axvline(0, color="0.6", linewidth=1)
    strips.set(xlabel="SHAP value of a row (log-odds); blue: low value of the feature, red: high", ylim=(-0.6, None))
    strips.grid(axis="x", color="0.92")
    figure.suptitle(f"{title}: SHAP values of {len(rows):,} rows, before calibration", fontsize=10)
    figure.savefig(path, dpi=120)


def _draw_strip(axes: Axes, height: float, values: NDArray[np.float32], shap: Floats) -> None:
    """Dots at the same place along the strip are spread up and down, as wide as the strip is full there."""
    span = float(np.ptp(shap)) or 1.0
    place = ((shap - shap.min()) / span * (PLACES - 1)).astype(np.int64)
    order = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=PLACES)
    rank = np.empty(len(shap))
    rank[order] = np.arange(len(shap)) - np.repeat(np.cumsum(counts) - counts, counts)
    spread = (rank - (counts[place] - 1) / 2) / counts.max() * 0.7
    _, level, times = np.unique(values, return_inverse=True, return_counts=True)
    share = (np.cumsum(times) - times / 2)[level] / len(values)
    axes.scatter(shap, height + spread, c=share, cmap="coolwarm", vmin=0, vmax=1, s=5, linewidths=0, rasterized=True)
