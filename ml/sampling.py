"""Negative downsampling: fewer non-clicks to learn from, chosen by hash, and the margin put right again.

With a share `keep_rate` of the non-clicks left, the odds of a click are 1 / keep_rate times too high in what is learnt
from, so a model of it says a margin that is -ln(keep_rate) too high. The true one is margin + ln(keep_rate) (King and
Zeng 2001, section 4.1; He et al. 2014, section 6.3).
"""

import math

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Labels
from ml.staging import Hashes

HASHES = 2**32


def is_kept(labels: Labels, hashes: Hashes, keep_rate: float) -> NDArray[np.bool_]:
    """Every click, and the non-clicks whose CRC-32 of the impression id is below keep_rate * 2**32: the same rows each
    time, and those of a lower rate are among those of a higher."""
    kept: NDArray[np.bool_] = (labels == 1) | (hashes < keep_rate * HASHES)
    return kept


def sampled_offset(keep_rate: float) -> float:
    """How much too high a margin learnt from the sampled rows is: -ln(keep_rate)."""
    return -math.log(keep_rate)
