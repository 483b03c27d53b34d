"""From margin to probability: the one function that training, evaluation and serving share.

Three kinds, each a rising map from the margin to calibrated log-odds. Arithmetic is the standard library's, one margin
at a time, so that whoever asks gets the same bits. A map rises up to rounding: margins are 32-bit, far coarser than it.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar

MOST_LOG_ODDS = 30.0
"""A knot may lie as far out: beyond some 36 a probability would round to 1."""


@dataclass(frozen=True)
class Calibration:
    """What the three kinds share; `kind` names them in calibration.json."""

    kind: ClassVar[str]

    def log_odds(self, margin: float) -> float:
        """Calibrated log-odds of a click."""
        raise NotImplementedError

    def probability(self, margin: float) -> float:
        """Calibrated probability, strictly within (0, 1) for margins of any use; NaN stays NaN."""
        log_odds = self.log_odds(margin)
        if log_odds >= 0:
            return 1.0 / (1.0 + math.exp(-log_odds))
        odds = math.exp(log_odds)
        return odds / (1.0 + odds)

    def probabilities(self, margins: Iterable[float]) -> list[float]:
        """`probability` of each, bit for bit."""
        return [self.probability(margin) for margin in margins]

    def as_dict(self) -> dict[str, Any]:
        """What calibration.json holds."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Platt(Calibration):
    """Platt scaling on the margin: log-odds = slope * margin + intercept (Platt 1999).

    `slope` must be positive: calibration may not turn the order of scores around.
    """

    kind: ClassVar[str] = "platt"
    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (self.slope > 0 and math.isfinite(self.slope) and math.isfinite(self.intercept)):
            raise ValueError(f"calibration needs a positive finite slope and a finite intercept, not {self}")

    def log_odds(self, margin: float) -> float:
        return self.slope * margin + self.intercept


@dataclass(frozen=True)
class Beta(Calibration):
    """Beta calibration: log-odds = a ln p - b ln(1 - p) + c, where p is the margin's own probability (Kull, Silva Filho
    and Flach 2017, section 4). a = b = 1 and c = 0 change nothing; a shapes the low probabilities, b the high ones."""

    kind: ClassVar[str] = "beta"
    a: float
    b: float
    c: float

    def __post_init__(self) -> None:
        if not (self.a > 0 and self.b > 0 and all(map(math.isfinite, (self.a, self.b, self.c)))):
            raise ValueError(f"beta calibration needs positive finite a and b and a finite c, not {self}")

    def log_odds(self, margin: float) -> float:
        return self.c + self.b * _softplus(margin) - self.a * _softplus(-margin)


@dataclass(frozen=True)
class Isotonic(Calibration):
    """Straight lines between knots, from rising margins to log-odds that never fall; level outside them."""

    kind: ClassVar[str] = "isotonic"
    margins: tuple[float, ...]
    log_odds_at: tuple[float, ...]

    def __post_init__(self) -> None:
        ways, heights = self.margins, self.log_odds_at
        if not ways or len(ways) != len(heights):
            raise ValueError(f"isotonic calibration needs as many log-odds as margins, not {len(heights)}, {len(ways)}")
        rises = all(one < other for one, other in pairwise(ways))
        never_falls = all(one <= other for one, other in pairwise(heights))
        within = all(abs(height) <= MOST_LOG_ODDS for height in heights)
        if not (rises and never_falls and within and all(map(math.isfinite, ways))):
            raise ValueError(
                "isotonic calibration needs rising finite margins, and log-odds that never fall within "
                f"{-MOST_LOG_ODDS:g} and {MOST_LOG_ODDS:g}, not {ways} and {heights}"
            )

    def log_odds(self, margin: float) -> float:
        if math.isnan(margin):
            return margin
        place = bisect_right(self.margins, margin)
        if place == 0:
            return self.log_odds_at[0]
        if place == len(self.margins):
            return self.log_odds_at[-1]
        left, right = self.margins[place - 1 : place + 1]
        low, high = self.log_odds_at[place - 1 : place + 1]
        return min(high, low + (high - low) * ((margin - left) / (right - left)))


def _softplus(value: float) -> float:
    """ln(1 + exp(value)) without overflow."""
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


KINDS: dict[str, type[Calibration]] = {each.kind: each for each in (Platt, Beta, Isotonic)}


def calibration_from(values: Mapping[str, Any]) -> Calibration:
    """The calibration that calibration.json holds; one without a kind is Platt's, as they all once were. Raises
    ValueError or TypeError on what is none."""
    kind = values.get("kind", Platt.kind)
    if kind not in KINDS:
        raise ValueError(f"no calibration is of kind {kind!r}; known: {', '.join(KINDS)}")
    given = {name: value for name, value in values.items() if name != "kind"}
    return KINDS[kind](**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
