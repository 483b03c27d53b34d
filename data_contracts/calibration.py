"""From margin to probability: the one function that training, evaluation and serving share."""

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Calibration:
    """Platt scaling on the margin: probability = 1 / (1 + exp(-(slope * margin + intercept))) (Platt 1999).

    `slope` must be positive: calibration may not turn the order of scores around.
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (self.slope > 0 and math.isfinite(self.slope) and math.isfinite(self.intercept)):
            raise ValueError(f"calibration needs a positive finite slope and a finite intercept, not {self}")

    def probability(self, margin: float) -> float:
        """Calibrated probability, strictly within (0, 1) for margins of any use; NaN stays NaN."""
        log_odds = self.slope * margin + self.intercept
        if log_odds >= 0:
            return 1.0 / (1.0 + math.exp(-log_odds))
        odds = math.exp(log_odds)
        return odds / (1.0 + odds)

    def as_dict(self) -> dict[str, float]:
        return asdict(self)
