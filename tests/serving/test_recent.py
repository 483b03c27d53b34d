"""What is remembered is what came last, within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from serving.recent import Recent


def test_the_last_keys_are_known_and_the_longest_unasked_for_are_not() -> None:
    recent: Recent[int, str] = Recent(3)
    for number in range(6):
        recent.put(number, str(number))
    assert recent.get(0) == "0"  # asked for: it is one of the new ones again
    recent.put(6, "6")
    recent.put(7, "7")
    assert [recent.get(number) for number in (0, 6, 7)] == ["0", "6", "7"]
    assert recent.get(1) is None
    assert recent.get(99) is None


@given(st.integers(1, 5), st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=80))
def test_at_least_so_many_of_the_last_and_at_most_twice_as_many_are_known(size, steps):
    recent: Recent[int, int] = Recent(size)
    last: dict[int, int] = {}
    for is_put, key in steps:
        if is_put:
            recent.put(key, -key)
        if recent.get(key) is not None:
            last.pop(key, None)
            last[key] = -key
        assert all(recent.get(own) == last[own] for own in list(last)[-1:])
        assert len({*recent._new, *recent._old}) <= 2 * size
    for own in list(last)[-size:][::-1]:
        assert own in recent._new or own in recent._old
