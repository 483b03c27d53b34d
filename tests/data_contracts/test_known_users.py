import random

import pytest

from data_contracts.known_users import KnownUser, is_of_user, unpacked_user, user_entries


def test_all_of_a_user_is_one_entry_whatever_order_it_came_in() -> None:
    days = [("v", b"1"), ("u", b"2")]
    topics = [("u|cars", b"3"), ("v|a\\|b|c", b"4"), ("u|hats", b"5"), ("w|", b"6")]
    known = [("x", {"user.consent": "denied"}), ("u", {"user.features.age": "40"})]
    expected = {
        b"user\0u": KnownUser({"user.features.age": "40"}, [{"": b"2"}, {"cars": b"3", "hats": b"5"}]),
        b"user\0v": KnownUser({}, [{"": b"1"}, {"a\\|b|c": b"4"}]),
        b"user\0w": KnownUser({}, [{}, {"": b"6"}]),
        b"user\0x": KnownUser({"user.consent": "denied"}, [{}, {}]),
    }
    for seed in range(5):
        for part in (days, topics, known):
            random.Random(seed).shuffle(part)
        entries = list(user_entries(known, [days, topics]))
        assert [key for key, _ in entries] == sorted(expected)
        assert {key: unpacked_user(value) for key, value in entries} == expected


def test_ids_of_which_one_begins_as_the_other_stay_apart() -> None:
    entries = dict(user_entries([], [[("u2|x", b"1"), ("u|x", b"2")], [("u", b"3"), ("u2", b"4")]]))
    assert unpacked_user(entries[b"user\0u"]).counts == [{"x": b"2"}, {"": b"3"}]
    assert unpacked_user(entries[b"user\0u2"]).counts == [{"x": b"1"}, {"": b"4"}]


@pytest.mark.parametrize("content", [b"", b"{}", b"\x92\x80", b"\x92\x80\x91\x81\xa1x\xa1y"])
def test_what_is_no_entry_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no user's"):
        unpacked_user(content)


@pytest.mark.parametrize(
    ("keys", "expected"), [("user_id", True), ("user_id|ad_id", True), ("all", False), ("user.features.age", False)]
)
def test_a_key_tuple_of_users_begins_with_the_user(keys: str, expected: bool) -> None:
    assert is_of_user(keys) is expected
