"""When a serving process looks for cyclic garbage: once an hour, and never through what it loaded.

A full collection halts all requests, for 60 to 80 ms with what is remembered of ads and users, and Python would begin
one every two seconds under load.
"""

import gc

FULL_SECONDS = 3600.0
NEVER = 1 << 30


def collect_seldom() -> None:
    """From now on full collections of this process are only those that are asked for."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, NEVER)


def collect() -> None:
    """All there is now, but what was set apart."""
    gc.collect()


def set_apart() -> None:
    """What was imported and loaded so far stays for good: to look through it takes a quarter of a second."""
    gc.collect()
    gc.freeze()
