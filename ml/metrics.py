"""What a model is judged by: pure functions of arrays, with intervals by bootstrap over users."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
Codes = NDArray[np.int64]
Interval = tuple[float, float]

LEAST_PROBABILITY = 1e-15
"""Log loss takes a probability for at least this and at most one minus this, so that one certain miss stays finite."""
DRAWS_AT_ONCE = 4_000_000


def expected_log_loss(truths: Floats, probabilities: Floats) -> float:
    """Mean log loss that is to be expected where the true probabilities of a click are known, in nats."""
    told = np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return float(-(truths * np.log(told) + (1 - truths) * np.log1p(-told)).mean())


def expected_normalized_entropy(truths: Floats, probabilities: Floats) -> float:
    """Expected log loss / entropy of the mean of the true probabilities; `truths` themselves give the least."""
    return expected_log_loss(truths, probabilities) / entropy(float(truths.sum()), len(truths))


def explained_share(truths: Floats, probabilities: Floats) -> float:
    """How much of what can be known the probabilities tell: 0 for the best constant, 1 for the truth; NaN where all
    true probabilities are alike, so that there is nothing to tell."""
    if truths.min() == truths.max():
        return math.nan
    least = expected_normalized_entropy(truths, truths)
    return (1 - expected_normalized_entropy(truths, probabilities)) / (1 - least)


def log_losses(labels: Labels, probabilities: Floats) -> Floats:
    """Log loss of each row, in nats."""
    clipped = np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return -np.where(labels == 1, np.log(clipped), np.log1p(-clipped))


def log_loss(labels: Labels, probabilities: Floats) -> float:
    """Mean log loss, in nats."""
    return float(log_losses(labels, probabilities).mean())


def entropy(clicks: float, rows: float) -> float:
    """Entropy of the base rate clicks / rows, in nats: the log loss of the best constant. 0 without clicks or without
    non-clicks."""
    rate = clicks / rows
    return -sum(share * math.log(share) for share in (rate, 1 - rate) if share > 0)


def normalized_entropy(labels: Labels, probabilities: Floats) -> float:
    """Log loss / entropy of these rows' own base rate; below 1 beats the best constant (He et al. 2014, section 3).

    NaN when the rows are all clicked or all not: then there is nothing to explain.
    """
    best_constant = entropy(float(labels.sum()), len(labels))
    return log_loss(labels, probabilities) / best_constant if best_constant > 0 else math.nan


def calibration_ratio(labels: Labels, probabilities: Floats) -> float:
    """Expected clicks / observed clicks: 1.1 promises 10 % more clicks than came. Infinite when none was observed."""
    observed = float(labels.sum())
    return float(probabilities.sum()) / observed if observed else math.inf


def auc(labels: Labels, probabilities: Floats) -> float:
    """Area under the ROC curve: the chance that a click outscores a non-click, a tie counting half (Mann-Whitney).

    NaN when the rows are all clicked or all not.
    """
    clicks, misses = _counts_by_score(labels, probabilities)
    misses_below = np.cumsum(misses) - misses
    pairs = clicks.sum() * misses.sum()
    return float((clicks * (misses_below + misses / 2)).sum() / pairs) if pairs else math.nan


def pr_auc(labels: Labels, probabilities: Floats) -> float:
    """Area under the precision-recall curve as average precision: the sum of precision x gain in recall over the
    distinct scores, highest first. The base rate is what a constant gets. NaN without a click."""
    clicks, misses = (counts[::-1] for counts in _counts_by_score(labels, probabilities))
    precision = np.cumsum(clicks) / np.cumsum(clicks + misses)
    return float((precision * clicks).sum() / clicks.sum()) if clicks.sum() else math.nan


def _counts_by_score(labels: Labels, probabilities: Floats) -> tuple[Floats, Floats]:
    """Clicks and non-clicks of each distinct score, lowest first."""
    distinct, codes = np.unique(probabilities, return_inverse=True)
    clicks = np.bincount(codes, weights=labels, minlength=len(distinct))
    misses = np.bincount(codes, weights=1 - labels, minlength=len(distinct))
    return clicks.astype(np.float64), misses.astype(np.float64)


def metrics(labels: Labels, probabilities: Floats) -> dict[str, float]:
    """Every metric of one slice by name, with its rows and clicks."""
    return {
        "log_loss": log_loss(labels, probabilities),
        "normalized_entropy": normalized_entropy(labels, probabilities),
        "calibration_ratio": calibration_ratio(labels, probabilities),
        "auc": auc(labels, probabilities),
        "pr_auc": pr_auc(labels, probabilities),
        "rows": float(len(labels)),
        "clicks": float(labels.sum()),
    }


def bootstrap_sums(users: Codes, columns: Floats, rounds: int, seed: int) -> Floats:
    """Column sums over `rounds` resamples of whole users with replacement: (rounds, columns).

    A user's rows are alike, so users are drawn, not rows. With fewer than two users nothing can be said of others: NaN.
    """
    codes = np.unique(users, return_inverse=True)[1]
    by_user = np.stack([np.bincount(codes, weights=column) for column in columns.T], axis=1)
    count = len(by_user)
    if count < 2:
        return np.full((rounds, columns.shape[1]), np.nan)
    random = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // count)
    sums = []
    for start in range(0, rounds, at_once):
        size = min(at_once, rounds - start)
        drawn = random.integers(0, count, (size, count)) + np.arange(size)[:, None] * count
        times_drawn = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        sums.append(times_drawn @ by_user)
    return np.concatenate(sums)


def interval_95(resampled: Floats) -> Interval:
    """The 2.5th and 97.5th percentile, each a value that occurred; unbounded where a resample gave no number."""
    if np.isnan(resampled).any():
        return -math.inf, math.inf
    low, high = np.percentile(resampled, [2.5, 97.5], method="inverted_cdf")
    return float(low), float(high)


def calibration_ratio_interval(labels: Labels, probabilities: Floats, users: Codes, rounds: int, seed: int) -> Interval:
    """95 % interval of the calibration ratio; its upper end is infinite when clicks are so few that a resample may
    hold none."""
    sums = bootstrap_sums(users, np.stack([probabilities, labels], axis=1), rounds, seed)
    with np.errstate(divide="ignore"):
        return interval_95(sums[:, 0] / sums[:, 1])


def normalized_entropy_interval(
    labels: Labels, probabilities: Floats, users: Codes, rounds: int, seed: int
) -> Interval:
    """95 % interval of normalized entropy, each resample against its own base rate."""
    columns = np.stack([log_losses(labels, probabilities), labels, np.ones(len(labels))], axis=1)
    sums = bootstrap_sums(users, columns, rounds, seed)
    if np.isnan(sums).any():
        return -math.inf, math.inf
    best_constants = np.array([entropy(clicks, rows) * rows for _, clicks, rows in sums])
    with np.errstate(divide="ignore"):
        return interval_95(sums[:, 0] / best_constants)


def relative_entropy_change(labels: Labels, challenger: Floats, champion: Floats) -> float:
    """Relative change of normalized entropy from champion to challenger on the same rows; below 0 is better.

    Both are divided by the same entropy, so it is the relative change of log loss.
    """
    before = log_loss(labels, champion)
    return (log_loss(labels, challenger) - before) / before


def relative_entropy_change_interval(
    labels: Labels, challenger: Floats, champion: Floats, users: Codes, rounds: int, seed: int
) -> Interval:
    """95 % interval of that change, paired: each resample of users is scored by both."""
    columns = np.stack([log_losses(labels, challenger), log_losses(labels, champion)], axis=1)
    sums = bootstrap_sums(users, columns, rounds, seed)
    return interval_95((sums[:, 0] - sums[:, 1]) / sums[:, 1])
