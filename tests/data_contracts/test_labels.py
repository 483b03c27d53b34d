"""When a label may be believed, by hand: the window is 24 h, a late click may become known for one hour more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.labels import ATTRIBUTION_WINDOW, DAY, HOUR, LATE_CLICK_ALLOWANCE, label_state, matures_at

SHOWN = 1_000_000
LAST_MOMENT_OF_WINDOW = SHOWN + 86_399
MATURE = SHOWN + 90_000


def test_the_constants_are_what_the_design_says():
    assert (HOUR, DAY, ATTRIBUTION_WINDOW, LATE_CLICK_ALLOWANCE) == (3_600, 86_400, 86_400, 3_600)


def test_a_label_matures_25_hours_after_its_impression():
    assert matures_at(SHOWN) == 1_090_000


@pytest.mark.parametrize(
    ("clicks", "as_of", "state"),
    [
        pytest.param([], SHOWN, "pending", id="just shown"),
        pytest.param([], MATURE - 1, "pending", id="one second before it matures"),
        pytest.param([], MATURE, "not_clicked", id="the moment it matures"),
        pytest.param([(SHOWN, SHOWN)], SHOWN, "pending", id="a click known at as_of is not known before it"),
        pytest.param([(SHOWN, SHOWN)], SHOWN + 1, "clicked", id="a click in the impression's own second counts"),
        pytest.param([(SHOWN - 1, SHOWN + 5)], MATURE, "not_clicked", id="a click before its impression is none"),
        pytest.param([(LAST_MOMENT_OF_WINDOW, SHOWN + 86_400)], MATURE, "clicked", id="last second of the window"),
        pytest.param([(SHOWN + 86_400, SHOWN + 86_400)], MATURE, "not_clicked", id="the window is half-open"),
        pytest.param([(SHOWN + 10, MATURE - 1)], MATURE, "clicked", id="known within the allowance"),
        pytest.param([(SHOWN + 10, MATURE)], MATURE + DAY, "not_clicked", id="known too late: the label is frozen"),
        pytest.param([(SHOWN + 10, SHOWN + 500)], SHOWN + 500, "pending", id="not known yet at as_of"),
        pytest.param([(SHOWN + 90_000, SHOWN + 90_000), (SHOWN + 1, SHOWN + 2)], MATURE, "clicked", id="one of two"),
    ],
)
def test_the_state_of_a_label(clicks, as_of, state):
    assert label_state(SHOWN, clicks, as_of) == state


moments = st.integers(SHOWN - 2 * HOUR, SHOWN + 3 * DAY)
click_lists = st.lists(st.tuples(moments, moments), max_size=4)


@given(click_lists, moments, moments)
def test_a_mature_label_never_changes_again(clicks, one, other):
    early, late = sorted((max(one, MATURE), max(other, MATURE)))
    assert label_state(SHOWN, clicks, early) == label_state(SHOWN, clicks, late) != "pending"


@given(click_lists, moments, moments)
def test_what_becomes_known_at_or_after_as_of_is_not_seen(clicks, as_of, click_time):
    assert label_state(SHOWN, [*clicks, (click_time, as_of)], as_of) == label_state(SHOWN, clicks, as_of)


@given(click_lists, moments)
def test_the_order_of_clicks_does_not_matter(clicks, as_of):
    assert label_state(SHOWN, clicks, as_of) == label_state(SHOWN, clicks[::-1], as_of)


def test_rows_chosen_by_state_inflate_the_ctr_by_28_percent_where_those_chosen_by_matures_at_do_not():
    """100 impressions an hour for 100 hours, of which 5 are clicked and known as such an hour later: the CTR is 5 %.

    As of hour 100 the impressions of 76 hours are mature. Of the 24 hours since, 23 hours' clicks are known and nothing
    else: rows that are not pending are 76 * 100 + 23 * 5 = 7,715 with (76 + 23) * 5 = 495 clicks, 6.42 %.
    """
    shown = [(hour * HOUR, number < 5) for hour in range(100) for number in range(100)]
    as_of = 100 * HOUR
    states = [label_state(at, [(at + HOUR, at + HOUR)] if clicked else [], as_of) for at, clicked in shown]
    by_state = [state == "clicked" for state in states if state != "pending"]
    by_maturity = [state == "clicked" for (at, _), state in zip(shown, states, strict=True) if matures_at(at) <= as_of]
    assert (len(by_state), sum(by_state)) == (7_715, 495)
    assert (len(by_maturity), sum(by_maturity)) == (7_600, 380)
    assert sum(by_maturity) / len(by_maturity) == 0.05
    assert sum(by_state) / len(by_state) / 0.05 == pytest.approx(1.283, abs=0.001)
