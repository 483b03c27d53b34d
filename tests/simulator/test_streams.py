"""Random streams: one a thing and day, each the same for the same seed."""

import pytest

from simulator.streams import STREAMS, stream, zipf_shares


def test_each_thing_and_day_has_numbers_of_its_own_that_come_again():
    drawn = [(thing, day, seed) for thing in STREAMS for day in (0, 1) for seed in (7, 8)]
    first = {key: stream(key[2], key[0], key[1]).integers(1 << 60) for key in drawn}
    assert len(set(first.values())) == len(drawn)
    assert {key: stream(key[2], key[0], key[1]).integers(1 << 60) for key in drawn} == first


def test_shares_fall_with_the_rank_as_zipf_says():
    shares = zipf_shares(4, 1.0)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] / shares == pytest.approx([1, 2, 3, 4])
