"""The gate: may a challenger take traffic? Pure: arrays and bounds in, a verdict in plain words with numbers out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.model_versions import Outcome
from data_contracts.sections import Gate
from ml.metrics import (
    Codes,
    Floats,
    Interval,
    Labels,
    auc,
    calibration_ratio,
    calibration_ratio_interval,
    log_loss,
    normalized_entropy,
    normalized_entropy_interval,
    relative_entropy_change,
    relative_entropy_change_interval,
)

ALL = "all"
JUDGED = "judged"
FIRST_MODEL = (
    "there is no champion: it becomes champion because the interval of its calibration ratio meets the band and "
    "nothing better stands"
)


@dataclass(frozen=True)
class Judged:
    """The holdout with the scores of the challenger, and of the champion where there is one, row by row."""

    labels: Labels
    users: Codes
    challenger: Floats
    champion: Floats | None
    slices: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Finding:
    """One check: what it says for the outcome (None: no objection) and why, in words."""

    objection: Outcome | None
    reason: str


def judge(judged: Judged, gate: Gate) -> tuple[Outcome, tuple[str, ...], tuple[Mapping[str, Any], ...]]:
    """Outcome, reasons and the numbers by slice. A refusal outweighs waiting for a person, which outweighs promotion.

    Scores that are no probabilities end it at once: no other number would mean anything.
    """
    if (unlike := unlike_probabilities(judged.challenger)) is not None:
        return "refuse", (unlike,), ()
    table = slice_table(judged, gate)
    findings = [*entropy_findings(judged, gate), *calibration_findings(table, gate)]
    objections = [finding for finding in findings if finding.objection]
    others = [finding for finding in findings if not finding.objection]
    reasons = tuple(finding.reason for finding in (*objections, *others))
    if any(finding.objection == "refuse" for finding in objections):
        return "refuse", reasons, table
    if objections:
        return "wait_for_person", reasons, table
    return "promote", (*reasons, *([] if judged.champion is not None else [FIRST_MODEL])), table


def unlike_probabilities(scores: Floats) -> str | None:
    """Why `scores` cannot be probabilities of a click, or None."""
    if not np.isfinite(scores).all():
        return f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite numbers"
    if scores.min() < 0 or scores.max() > 1:
        return f"scores reach from {scores.min():g} to {scores.max():g}; a probability lies within 0 and 1"
    if np.isin(scores, (0, 1)).all():
        return "every score is 0 or 1: class labels, not probabilities"
    return None


def entropy_findings(judged: Judged, gate: Gate) -> list[Finding]:
    """Against the champion: not worse by more than allowed, with 95 % confidence. Without one: against the best
    constant, which is refused only when surely worse, for then the prior CTR serves better."""
    against = (judged.users, gate.bootstrap_rounds, gate.seed)
    if judged.champion is None:
        entropy = normalized_entropy(judged.labels, judged.challenger)
        interval = normalized_entropy_interval(judged.labels, judged.challenger, *against)
        words = f"normalized entropy {entropy:.4f} (95 % interval {spoken(interval, '.4f')})"
        if interval[0] > 1 + gate.worst_relative_entropy_change:
            return [Finding("refuse", f"{words}: surely worse than the base rate alone")]
        better = "better than the base rate" if interval[1] < 1 else "not shown to be better than the base rate"
        return [Finding(None, f"{words}: {better}"), *_too_good(1 - entropy, "the base rate", gate)]
    change = relative_entropy_change(judged.labels, judged.challenger, judged.champion)
    interval = relative_entropy_change_interval(judged.labels, judged.challenger, judged.champion, *against)
    words = (
        f"normalized entropy changes by {change:+.2%} against the champion (95 % interval {spoken(interval, '+.2%')})"
    )
    if interval[1] > gate.worst_relative_entropy_change:
        worst = f"{gate.worst_relative_entropy_change:+.2%}"
        return [Finding("refuse", f"{words}: it may be worse than the {worst} that is allowed")]
    claim = "better than the champion" if interval[1] < 0 else "no worse than is allowed, and not shown to be better"
    return [Finding(None, f"{words}: {claim}"), *_too_good(-change, "the champion", gate)]


def _too_good(gain: float, against: str, gate: Gate) -> list[Finding]:
    if gain <= gate.suspicious_relative_entropy_gain:
        return []
    allowed = gate.suspicious_relative_entropy_gain
    return [
        Finding(
            "wait_for_person",
            f"{gain:.1%} less entropy than {against} is more than {allowed:.0%}: usually a leak, so a person must look",
        )
    ]


def calibration_findings(table: Sequence[Mapping[str, Any]], gate: Gate) -> list[Finding]:
    """The 95 % interval of the calibration ratio must meet the band overall and in every slice with enough clicks."""
    band = (gate.calibration_ratio_low, gate.calibration_ratio_high)
    findings, few = [], 0
    for numbers in table:
        if numbers["judged"] != JUDGED:
            few += 1
            continue
        low, high = numbers["calibration_ratio_low"], numbers["calibration_ratio_high"]
        interval = (-math.inf if low is None else low, math.inf if high is None else high)
        ratio = spoken_number(numbers["calibration_ratio"])
        words = f"calibration ratio {ratio}, whose 95 % interval {spoken(interval)}"
        if interval[0] > band[1] or interval[1] < band[0]:
            where = "" if numbers["column"] == ALL else f" where {numbers['column']} is {numbers['value']}"
            findings.append(Finding("refuse", f"{words}{where} misses the band {spoken(band, 'g')}"))
        elif numbers["column"] == ALL:
            findings.append(Finding(None, f"{words} meets the band {spoken(band, 'g')}"))
    if few:
        least = gate.slice_least_clicks
        findings.append(Finding(None, f"not enough clicks (under {least}) to judge {few} of {len(table) - 1} slices"))
    return findings


def slice_table(judged: Judged, gate: Gate) -> tuple[Mapping[str, Any], ...]:
    """Numbers of the whole holdout, then of every value of every slice column."""
    rows = [(ALL, ALL, np.ones(len(judged.labels), dtype=bool))]
    for column, values in judged.slices.items():
        rows += [(column, str(value), values == value) for value in np.unique(values)]
    return tuple(_numbers(judged, gate, column, value, chosen) for column, value, chosen in rows)


def _numbers(judged: Judged, gate: Gate, column: str, value: str, rows: NDArray[np.bool_]) -> Mapping[str, Any]:
    labels, scores, users = judged.labels[rows], judged.challenger[rows], judged.users[rows]
    clicks = int(labels.sum())
    enough = column == ALL or clicks >= gate.slice_least_clicks
    low, high = calibration_ratio_interval(labels, scores, users, gate.bootstrap_rounds, gate.seed)
    return {
        "column": column,
        "value": value,
        "rows": len(labels),
        "clicks": clicks,
        "users": len(np.unique(users)),
        "log_loss": _number(log_loss(labels, scores)),
        "normalized_entropy": _number(normalized_entropy(labels, scores)),
        "auc": _number(auc(labels, scores)),
        "calibration_ratio": _number(calibration_ratio(labels, scores)),
        "calibration_ratio_low": _number(low),
        "calibration_ratio_high": _number(high),
        "judged": JUDGED if enough else "not enough clicks",
    }


def _number(value: float) -> float | None:
    """JSON has no NaN and no infinity: None."""
    return value if math.isfinite(value) else None


def spoken_number(value: float | None) -> str:
    return "unlimited" if value is None else f"{value:.3f}"


def spoken(interval: Interval, form: str = ".3f") -> str:
    return " to ".join(format(end, form) if math.isfinite(end) else "unlimited" for end in interval)
