"""The compiled features are those of the plain functions, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.compiled import compiled
from data_contracts.feature_set_files import FeatureSetError, feature_set_path, load_feature_set
from tests.data_contracts.test_feature_set_files import feature_set

AD_CTR = load_feature_set(feature_set_path("ad_ctr"))
PLACES = {count: AD_CTR.input_names.index(count.name) for count in AD_CTR.counts}
rows = st.tuples(
    st.integers(1, 1000).map(float), st.floats(0, 4e9), *[st.integers(0, 10**6)] * len(AD_CTR.looked_up)
).map(lambda drawn: with_longer_windows_above_shorter(list(drawn)))


def with_longer_windows_above_shorter(row):
    """A longer window holds what a shorter one does, and some more."""
    for count, place in sorted(PLACES.items(), key=lambda each: each[0].window):
        shorter = [
            row[other] for each, other in PLACES.items()
            if (each.keys, each.event) == (count.keys, count.event) and each.window < count.window
        ]  # fmt: skip
        row[place] = float(row[place] + max(shorter, default=0))
    return row


@given(st.lists(rows, min_size=1, max_size=20))
@settings(deadline=None)
def test_the_default_features_are_the_same_for_any_inputs(drawn):
    plain = [AD_CTR.row(dict(zip(AD_CTR.input_names, row, strict=True))) for row in drawn]
    assert compiled(AD_CTR)(np.array(drawn)).tolist() == np.float32(plain).tolist()


def test_a_feature_may_use_helpers_constants_branches_and_earlier_features(tmp_path):
    body = """
from math import exp
LIMIT = 3.0
def _capped(value):
    return value if value < LIMIT else LIMIT
def slot(position):
    return _capped(position)
def decayed(slot, timestamp):
    return exp(-slot) + timestamp % 7.0 // 2.0
"""
    loaded = load_feature_set(feature_set(tmp_path, body))
    inputs = np.array([[1.0, 100.25, 0.0, 0.0], [9.0, 5e8, 0.0, 0.0]])
    plain = [loaded.row({"position": row[0], "timestamp": row[1]}) for row in inputs]
    assert compiled(loaded)(inputs).tolist() == np.float32(plain).tolist()
    assert plain[1][0] == 3.0


def test_what_numba_cannot_compile_is_refused_by_name(tmp_path):
    loaded = load_feature_set(feature_set(tmp_path, "def slot(position):\n    return open(position)\n"))
    with pytest.raises(FeatureSetError, match=r"mine.py: numba cannot compile its functions"):
        compiled(loaded)


def test_no_rows_give_no_features():
    assert compiled(AD_CTR)(np.empty((0, len(AD_CTR.input_names)))).shape == (0, len(AD_CTR.features))
