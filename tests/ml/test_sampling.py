"""Negative downsampling: which rows stay, and what is added to the margin."""

import math
import zlib

import numpy as np
import pytest

from ml.sampling import is_kept, sampled_offset


def test_every_click_and_the_non_clicks_of_low_hash_are_kept() -> None:
    labels = np.array([1, 0, 0, 0, 1], dtype=np.int8)
    hashes = np.array([2**32 - 1, 0, 2**30 - 1, 2**30, 2**31], dtype=np.uint32)
    assert is_kept(labels, hashes, 0.25).tolist() == [True, True, True, False, True]


def test_a_keep_rate_of_1_keeps_all() -> None:
    hashes = np.array([0, 2**32 - 1], dtype=np.uint32)
    assert is_kept(np.zeros(2, dtype=np.int8), hashes, 1.0).tolist() == [True, True]


def test_rows_of_a_lower_rate_are_among_those_of_a_higher_and_the_rate_is_met_by_crc_32() -> None:
    ids = [f"impression-{number:06d}" for number in range(40_000)]
    hashes = np.array([zlib.crc32(each.encode()) for each in ids], dtype=np.uint32)
    few, many = (is_kept(np.zeros(40_000, dtype=np.int8), hashes, rate) for rate in (0.1, 0.3))
    assert few.mean() == pytest.approx(0.1, abs=0.005)
    assert many.mean() == pytest.approx(0.3, abs=0.008)
    assert not (few & ~many).any()


def test_the_offset_is_what_the_odds_are_too_high_by() -> None:
    """By hand: 20 clicks of 1,000 are odds of 20 / 980; with a tenth of the non-clicks they are 20 / 98."""
    assert math.log(20 / 98) - sampled_offset(0.1) == pytest.approx(math.log(20 / 980), rel=1e-12)
    assert sampled_offset(1.0) == 0.0
