"""Do clicks still find their impressions as they did of late? A model is not trained on labels of a broken stream.

Judged are mature impressions: the clicks that came in for them, over what the blocks of hours before lead to expect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from data_contracts.labels import ATTRIBUTION_WINDOW, DAY, HOUR, LATE_CLICK_ALLOWANCE
from data_contracts.sections import Training
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, CLICKS
from ml.training_sets import pinned, rows_of

BLOCK_HOURS = (6, 12, 24)
"""The newest hours that are judged: the shortest block in which enough clicks are expected."""
HISTORY = 7 * DAY
LEAST_BLOCKS = 3
LEAST_EXPECTED = 40.0
"""Clicks: by chance alone (Poisson) 40 become 20 or fewer once in 2,700 times, and 80 or more never."""


class JoinHealthError(ValueError):
    """The click stream has stalled or doubled; the message says since when and how much."""


@dataclass(frozen=True)
class Block:
    """The newest mature hours: how many clicks came for their impressions, and how many the history leads to expect."""

    start: float
    hours: int
    clicks: int
    expected: float

    @property
    def ratio(self) -> float:
        return self.clicks / self.expected

    @property
    def words(self) -> str:
        since = datetime.fromtimestamp(self.start, UTC)
        return (
            f"{self.clicks:,} clicks on the impressions of the {self.hours} hours from {since:%Y-%m-%d %H:%M} UTC,"
            f" {self.ratio:.2f} of the {self.expected:,.0f} that the days before lead to expect"
        )


def check_join_health(settings: Settings, versions: Mapping[str, int], as_of: datetime) -> str:
    """What was found, in words. Raises JoinHealthError when the stream has stalled or doubled."""
    block = newest_block(*clicks_by_hour(settings, versions, as_of))
    if block is None:
        return "too few clicks to judge"
    training: Training = settings.training
    if training.least_click_ratio <= block.ratio <= training.most_click_ratio:
        return f"{block.words}: sound"
    wrong = "stalled" if block.ratio < training.least_click_ratio else "doubled"
    raise JoinHealthError(
        f"the click stream has {wrong}: {block.words}; nothing is trained on that (conf [training] least_click_ratio"
        f" {training.least_click_ratio:g}, most_click_ratio {training.most_click_ratio:g})"
    )


def newest_block(hours: NDArray[np.int64], impressions: NDArray[np.int64], clicks: NDArray[np.int64]) -> Block | None:
    """The newest block, of hours (their starts, epoch seconds, in order) with impressions and the clicks on these; None
    where the history is too short or expects too few clicks."""
    if not hours.size:
        return None
    end = int(hours[-1]) + HOUR
    for size in BLOCK_HOURS:
        place = (end - HOUR - hours) // (size * HOUR)  # 0 is the newest block
        is_recent = place * size * HOUR < HISTORY + size * HOUR
        shown, clicked = (np.bincount(place[is_recent], each[is_recent]) for each in (impressions, clicks))
        full = np.flatnonzero(shown[1:]) + 1
        if full.size < LEAST_BLOCKS:
            continue
        expected = float(np.median(clicked[full] / shown[full]) * shown[0])
        if expected >= LEAST_EXPECTED:
            return Block(end - size * HOUR, size, int(clicked[0]), expected)
    return None


def clicks_by_hour(
    settings: Settings, versions: Mapping[str, int], as_of: datetime
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Full hours whose impressions are mature as of `as_of` (their starts, epoch seconds, in order), their impressions,
    and the clicks on these within the attribution window, as known before `as_of`. Two clicks on one count as two."""
    end = (int(as_of.timestamp()) - ATTRIBUTION_WINDOW - LATE_CLICK_ALLOWANCE) // HOUR * HOUR
    start = end - HISTORY - max(BLOCK_HOURS) * HOUR
    rows = rows_of(
        settings,
        f"""
        WITH shown AS (
            SELECT impression_id, timestamp AS shown_at, epoch_us(timestamp) // {HOUR * 1_000_000} * {HOUR} AS hour
            FROM {pinned(settings, versions, AD_IMPRESSIONS.name)}
            WHERE epoch_us(timestamp) >= ? AND epoch_us(timestamp) < ? AND received_at < ?),
        click AS (
            SELECT impression_id, timestamp AS clicked_at
            FROM {pinned(settings, versions, CLICKS.name)} WHERE clicked AND received_at < ?),
        joined AS (
            SELECT impression_id, hour, count(clicked_at) FILTER (
                clicked_at >= shown_at AND clicked_at < shown_at + INTERVAL {ATTRIBUTION_WINDOW} SECOND) AS clicks
            FROM shown LEFT JOIN click USING (impression_id) GROUP BY impression_id, hour)
        SELECT hour, count(*) AS impressions, sum(clicks)::BIGINT AS clicks FROM joined GROUP BY hour ORDER BY hour""",
        [start * 1_000_000, end * 1_000_000, as_of, as_of],
    )
    hours, impressions, clicks = (rows.column(name).to_numpy() for name in ("hour", "impressions", "clicks"))
    return hours, impressions, clicks
