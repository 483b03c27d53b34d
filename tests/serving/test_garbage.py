import gc
import weakref
from collections.abc import Iterator

import pytest

from serving.garbage import collect, collect_seldom


class Knot:
    """Refers to itself, so that only a collection frees it."""

    def __init__(self) -> None:
        self.self = self


@pytest.fixture(autouse=True)
def own_thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def full_collections() -> int:
    return int(gc.get_stats()[2]["collections"])


def kept(number: int) -> list[list[int]]:
    return [[each] for each in range(number)]


@pytest.mark.parametrize("is_seldom", [True, False])
def test_what_is_kept_leads_to_no_full_collection(is_seldom: bool) -> None:
    """Without it, the control, it does."""
    gc.collect()
    if is_seldom:
        collect_seldom()
    before, held = full_collections(), kept(3_000_000)
    assert (full_collections() == before) is is_seldom
    assert len(held) == 3_000_000


def test_a_collection_frees_what_became_old() -> None:
    collect_seldom()
    knot = weakref.ref(Knot())
    collect()
    assert knot() is None
