import asyncio

import pytest

from serving.event_window import EventWindow, Write


def write(*identities: str, row: bytes = b"row") -> Write:
    return Write(dict.fromkeys(identities, row))


def stored(window: EventWindow, *identities: str) -> None:
    one = write(*identities)
    window.begin(one)
    window.settle(one, True)


def test_an_id_is_under_way_until_it_is_stored_and_then_known() -> None:
    window, one = EventWindow(10), write("a", "b")
    window.begin(one)
    assert (window.under_way("a"), window.known("a"), window.is_new_to_all({"a"})) == (one, None, False)
    window.settle(one, True)
    assert (window.under_way("a"), window.known("a"), window.is_new_to_all({"b"})) == (None, b"row", False)
    assert window.is_new_to_all({"c"})


def test_an_id_whose_write_failed_is_forgotten() -> None:
    window, one = EventWindow(10), write("a")
    window.begin(one)
    window.settle(one, False)
    assert (window.under_way("a"), window.known("a"), window.is_new_to_all({"a"})) == (None, None, True)


def test_the_end_of_an_older_write_leaves_a_newer_one_of_the_same_id_under_way() -> None:
    window, older, newer = EventWindow(10), write("a", row=b"1"), write("a", row=b"2")
    window.begin(older)
    window.begin(newer)
    window.settle(older, True)
    assert (window.under_way("a"), window.known("a")) == (newer, b"1")
    window.settle(newer, True)
    assert (window.under_way("a"), window.known("a")) == (None, b"2")


@pytest.mark.parametrize("size", [2, 10])
def test_the_newer_half_of_the_ids_is_known_and_no_more_than_all(size: int) -> None:
    window = EventWindow(size)
    for number in range(100):
        stored(window, str(number))
        known = [seen for seen in range(number + 1) if window.known(str(seen))]
        newest = list(range(max(0, number + 1 - size // 2), number + 1))
        assert known[-len(newest) :] == newest
        assert len(known) <= size


@pytest.mark.parametrize("is_stored", [True, False])
def test_who_waits_for_a_write_learns_its_end_also_when_another_gave_up(is_stored: bool) -> None:
    async def learnt() -> list[bool]:
        window, one = EventWindow(10), write("a")
        window.begin(one)
        waiting = [asyncio.create_task(one.ended_well()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        window.settle(one, is_stored)
        return [await waiting[1], await waiting[2], await one.ended_well()]

    assert asyncio.run(learnt()) == [is_stored] * 3
