"""Chooses among the kinds of calibration by what each says of hours that it was not fitted on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_contracts.calibration import Beta, Calibration, Isotonic, Platt
from ml.calibrate import fitted_beta, fitted_isotonic, fitted_platt, probabilities
from ml.metrics import Floats, Labels, log_losses

FITS: Mapping[str, Callable[[Floats, Labels], Calibration]] = {
    Platt.kind: fitted_platt,
    Beta.kind: fitted_beta,
    Isotonic.kind: fitted_isotonic,
}
BLOCKS = 6
"""Runs of time of equally many rows, each left out once. Neighbouring rows are alike, so single rows are not."""
LEAST_CLICKS = 500
"""With fewer clicks, or non-clicks, outside a block no choice is made: what the blocks say is noise then, and Platt's
two numbers need the fewest."""
NOISE = 1.0
"""By as many standard errors another kind must beat Platt to be taken."""


@dataclass(frozen=True)
class Candidate:
    """One kind on the blocks it was not fitted on: its mean log loss, by how much that is below Platt's, and the
    standard error of this gain over the blocks (all in nats)."""

    kind: str
    log_loss: float
    gain: float
    noise: float

    @property
    def is_better(self) -> bool:
        """Than Platt, by more than noise?"""
        return self.gain > NOISE * self.noise


def chosen_calibration(margins: Floats, labels: Labels) -> tuple[Calibration, tuple[Candidate, ...]]:
    """The calibration of rows in order of time, and the evidence for it, empty when clicks are too few to choose by.

    Platt is taken unless another kind is better by more than noise; then the one of least log loss among these. It is
    fitted on all rows. `labels` must hold clicks and non-clicks.
    """
    clicks = np.bincount(_block_of(labels), labels, BLOCKS)
    others = np.bincount(_block_of(labels), 1 - labels, BLOCKS)
    if min(each.sum() - each.max() for each in (clicks, others)) < LEAST_CLICKS:
        return fitted_platt(margins, labels), ()
    candidates = compared(margins, labels)
    better = [each for each in candidates if each.is_better]
    winner = min(better, key=lambda each: each.log_loss).kind if better else Platt.kind
    return FITS[winner](margins, labels), candidates


def compared(margins: Floats, labels: Labels) -> tuple[Candidate, ...]:
    """Each kind, fitted on all blocks of time but one and judged on that one, in turn."""
    block_of = _block_of(labels)
    losses = {kind: np.empty(len(labels)) for kind in FITS}
    for block in range(BLOCKS):
        left_out = block_of == block
        for kind, fit in FITS.items():
            scores = probabilities(fit(margins[~left_out], labels[~left_out]), margins[left_out])
            losses[kind][left_out] = log_losses(labels[left_out], scores)
    found = []
    for kind, own in losses.items():
        gains = np.array([(losses[Platt.kind] - own)[block_of == block].mean() for block in range(BLOCKS)])
        noise = float(gains.std(ddof=1)) / BLOCKS**0.5
        found.append(Candidate(kind, float(own.mean()), float(gains.mean()), noise))
    return tuple(found)


def _block_of(labels: Labels) -> NDArray[np.int64]:
    return np.arange(len(labels)) * BLOCKS // max(1, len(labels))
