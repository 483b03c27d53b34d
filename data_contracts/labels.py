"""When a label may be believed, and what it then says. Times are epoch seconds; intervals are [start, end)."""

from collections.abc import Iterable
from typing import Literal

HOUR = 3600
DAY = 24 * HOUR

ATTRIBUTION_WINDOW = 24 * HOUR
"""How long after its impression a click counts."""
LATE_CLICK_ALLOWANCE = HOUR
"""How long after the window a click may still become known; then the label freezes."""
ORPHAN_AFTER = 7 * DAY
"""How long a click waits for its impression."""

LabelState = Literal["pending", "clicked", "not_clicked"]


def matures_at(impression_time: float) -> float:
    """From when on the label of an impression may be believed. Choose rows by it, never by their state: a fresh click
    let in while its fresh non-clicks wait would inflate the CTR."""
    return impression_time + ATTRIBUTION_WINDOW + LATE_CLICK_ALLOWANCE


def label_state(impression_time: float, clicks: Iterable[tuple[float, float]], as_of: float) -> LabelState:
    """State as of `as_of`, given the impression's clicks as (click time, time the click became known)."""
    known_before = min(as_of, matures_at(impression_time))
    for click_time, known_at in clicks:
        if impression_time <= click_time < impression_time + ATTRIBUTION_WINDOW and known_at < known_before:
            return "clicked"
    return "not_clicked" if matures_at(impression_time) <= as_of else "pending"
