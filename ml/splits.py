"""Slices of time, each later than the one before: train | stop | calibration | holdout. Times are epoch seconds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_contracts.labels import ATTRIBUTION_WINDOW, HOUR, LATE_CLICK_ALLOWANCE
from data_contracts.sections import Training
from ml.metrics import Floats, Labels

SLICES = ("train", "stop", "calibration", "holdout")
Rows = slice
"""Of rows in order of time: a slice of time is a run of rows, which is read without a copy."""


class SliceError(ValueError):
    """A slice that cannot be learnt from or judged on; the message names it, its bounds and what is in it."""


@dataclass(frozen=True)
class Slice:
    """Impressions shown in [start, end)."""

    start: float
    end: float

    def rows(self, timestamps: Floats) -> Rows:
        """Of impressions in order of time, those shown in it."""
        first, end = np.searchsorted(timestamps, (self.start, self.end))
        return slice(int(first), int(end))

    def __str__(self) -> str:
        start, end = (np.datetime64(int(instant), "s") for instant in (self.start, self.end))
        return f"[{start}Z, {end}Z)"


def time_slices(as_of: float, first: float, training: Training) -> dict[str, Slice]:
    """The four slices, counted back from the newest mature instant, as_of - window - allowance; training starts at
    `first`, the oldest row's time.

    The oldest rows, whose counts have no history yet, are left out: the first training.warmup_hours, but never more
    than the older half of what there is to train on.

    The end is exclusive: an impression shown at that very instant is mature, and waits for the next training set.
    """
    end = as_of - ATTRIBUTION_WINDOW - LATE_CLICK_ALLOWANCE
    holdout = end - training.holdout_hours * HOUR
    calibration = holdout - training.calibration_hours * HOUR
    stop = calibration - training.early_stopping_hours * HOUR
    start = train_start(first, stop, training)
    bounds = (start, stop, calibration, holdout, end)
    return {name: Slice(*bounds[place : place + 2]) for place, name in enumerate(SLICES)}


def train_start(first: float, stop: float, training: Training) -> float:
    """Where training on rows from `first` to `stop` begins: behind the warm-up, in the middle at the latest."""
    return min(first + training.warmup_hours * HOUR, (first + stop) / 2) if first < stop else stop


def rows_by_slice(timestamps: Floats, labels: Labels, slices: Mapping[str, Slice]) -> dict[str, Rows]:
    """Which rows each slice holds, of rows in order of time. Raises SliceError when a slice has no row, no click or
    nothing but clicks."""
    found = {name: part.rows(timestamps) for name, part in slices.items()}
    for name, rows in found.items():
        count, clicks = rows.stop - rows.start, int(labels[rows].sum())
        if not count or clicks in (0, count):
            oldest = f"the oldest row is of {np.datetime64(int(timestamps[0]), 's')}Z" if len(timestamps) else "no row"
            raise SliceError(
                f"the {name} slice {slices[name]} holds {count} impressions with {clicks} clicks; "
                f"it needs clicks and non-clicks ({oldest}; conf [training] sets the slices' hours)"
            )
    return found
