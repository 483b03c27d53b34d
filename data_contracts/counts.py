"""What sees the past: counts of an entity's events, and sums of a feature over all impressions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from data_contracts.keys import ALL, USER, check_key, key_name
from data_contracts.labels import DAY, HOUR

Event = Literal["impressions", "clicks"]

MILLION = 1_000_000
"""Sums are in whole millionths: whatever order they are added up in, they come to the same."""


@dataclass(frozen=True)
class Count:
    """How many events of an entity became known in [as_of - window, as_of); 0 for an entity never seen.

    `keys` are those of data_contracts.keys; without any, all events count. A click counts for the entity of its
    impression, once an impression, and only if it makes the impression's label `clicked`. `window` is in seconds, whole
    hours.
    """

    keys: tuple[str, ...]
    event: Event
    window: int

    def __post_init__(self) -> None:
        _check_window("count", self.window)
        for key in self.keys:
            check_key(key)
        if len(set(self.keys)) < len(self.keys):
            raise ValueError(f"a count has each key once, not {self.keys}")
        if USER in self.keys[1:]:
            raise ValueError(f"{USER} comes first among the keys of a count, not as in {self.keys}")

    @cached_property
    def name(self) -> str:
        """Computed, so that it cannot lie: ad_clicks_7d, ad_position_impressions_1d, all_clicks_1h."""
        thing = "_".join(map(key_name, self.keys)) or ALL
        return f"{thing}_{self.event}_{_span(self.window)}"


@dataclass(frozen=True)
class Sum:
    """What a feature came to over all impressions that became known in [as_of - window, as_of), in whole millionths;
    each impression with the feature as serving could have had it. `window` is in seconds, whole hours."""

    feature: str
    window: int

    def __post_init__(self) -> None:
        _check_window("sum", self.window)

    @cached_property
    def name(self) -> str:
        """sum_ctr_now_6h."""
        return f"sum_{self.feature}_{_span(self.window)}"


def _check_window(what: str, window: int) -> None:
    if window <= 0 or window % HOUR:
        raise ValueError(f"a {what} needs a window of whole hours, not {window} s")


def _span(window: int) -> str:
    return f"{window // DAY}d" if window % DAY == 0 else f"{window // HOUR}h"
