"""Random numbers: a stream of its own for each thing and day, so that more days do not change those before."""

import numpy as np

STREAMS = ("users", "campaigns", "ads", "effects", "catalog", "requests", "bots", "clicks", "arrivals", "ids")


def stream(seed: int, thing: str, day: int = 0) -> np.random.Generator:
    """The generator of `thing` (of STREAMS) on a day, counted from the market's start; the same for the same seed."""
    return np.random.default_rng([seed, STREAMS.index(thing), day])


def zipf_shares(count: int, exponent: float) -> np.ndarray:
    """Shares of ranks 1 to `count` by Zipf's law, in proportion to rank ** -exponent; their sum is 1."""
    weights = np.arange(1, count + 1, dtype=float) ** -exponent
    shares: np.ndarray = weights / weights.sum()
    return shares
