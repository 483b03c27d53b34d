"""How often a user has been shown an ad before, over the last days."""

from collections import deque

import numpy as np

KEY_BITS = 24
"""More ads than 2 ** 24 would share a key."""


class Exposures:
    """Counts showings of the same ad to the same user within the last `days` days, of which today is one."""

    def __init__(self, days: int) -> None:
        self._days = deque[tuple[np.ndarray, np.ndarray]](maxlen=max(days - 1, 0))

    def earlier(self, user: np.ndarray, ad: np.ndarray) -> np.ndarray:
        """For each showing of a day, in order of time, how many came before it; then the day is one of the past."""
        key = (user.astype(np.int64) << KEY_BITS) | ad
        found = np.zeros(len(key), np.int64)
        for keys, counts in self._days:
            place = np.searchsorted(keys, key).clip(max=max(len(keys) - 1, 0))
            if len(keys):
                found += np.where(keys[place] == key, counts[place], 0)
        order = np.argsort(key, kind="stable")
        in_order = key[order]
        found[order] += np.arange(len(key)) - np.searchsorted(in_order, in_order)
        self._days.append(np.unique(key, return_counts=True))
        return found
