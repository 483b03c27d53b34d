"""Earlier showings of an ad to a user, against a count by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator.exposures import Exposures

DAYS = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12), max_size=5)


@given(DAYS, st.integers(1, 4))
def test_showings_of_today_and_the_days_before_count_and_no_others(days, window):
    exposures = Exposures(window)
    for number, today in enumerate(days):
        recent = [pair for day in days[max(number - window + 1, 0) : number] for pair in day]
        expected = [recent.count(pair) + today[:place].count(pair) for place, pair in enumerate(today)]
        user, ad = (np.array([pair[side] for pair in today], int) for side in (0, 1))
        assert exposures.earlier(user, ad).tolist() == expected
