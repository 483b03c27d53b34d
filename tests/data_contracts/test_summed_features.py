"""Feature sets with sums: how a sum is named and made, and what cannot be summed."""

import pytest

from data_contracts.feature_set_files import FeatureSetError, load_feature_set
from tests.data_contracts.test_feature_set_files import feature_set

SUMMING = """from data_contracts.features import Sum
COUNTS += (Count((), "clicks", DAY),)
NUMBERS = ("features.bid",)
SUMS = (Sum("half", 2 * DAY),)
def twice_less(bid):
    return bid
def half(twice_less, ad_clicks_1d):
    return twice_less / 2 + ad_clicks_1d
def level(sum_half_2d):
    return sum_half_2d
"""


def summing(folder, body=SUMMING):
    return load_feature_set(feature_set(folder, body))


def test_a_sum_is_an_input_that_is_looked_up_by_a_name_of_its_feature_set(tmp_path):
    loaded = summing(tmp_path)
    assert loaded.input_names[-2:] == ("all_clicks_1d", "sum_half_2d")
    assert loaded.looked_up["sum_half_2d"] == f"sum_half_2d_{loaded.hash[:16]}"
    assert loaded.looked_up["ad_clicks_1d"] == "ad_clicks_1d"
    assert loaded.row({"position": 1, "timestamp": 0, "bid": 3, "sum_half_2d": 7}) == [3.0, 1.5, 7.0]
    assert loaded.absent["sum_half_2d"] == 0.0


def test_what_is_summed_is_made_of_no_more_than_it_needs(tmp_path):
    summed = summing(tmp_path).summed
    assert summed.input_names == ("position", "timestamp", "bid", "ad_clicks_1d")
    assert (summed.feature_names, [each.name for each in summed.functions]) == (("half",), ["twice_less", "half"])
    assert summed.row({"position": 1, "timestamp": 0, "bid": 3, "ad_clicks_1d": 2}) == [3.5]


@pytest.mark.parametrize(
    ("written", "instead", "words"),
    [
        ('Sum("half", 2 * DAY)', '"half"', "SUMS must be a tuple of Sum"),
        ('(Sum("half", 2 * DAY),)', '(Sum("half", 2 * DAY))', "SUMS must be a tuple of Sum"),
        ('Sum("half", 2 * DAY)', 'Sum("half", 90)', "a sum needs a window of whole hours, not 90 s"),
        ("SUMS = (", 'SUMS = (Sum("third", DAY), ', "SUMS names no function: third"),
        ('Sum("half"', 'Sum("level"', "no request field, number, count, sum"),
        ("(Count((), ", "(Count(('position',), ", "SUMS need a count without keys"),
        (", ad_clicks_1d)", ", ad_clicks_1d, sum_half_2d)", "half needs sum_half_2d: it cannot be summed"),
        ("SUMS = (", 'SUMS = (Sum("level", DAY), ', "level needs sum_half_2d: it cannot be summed"),
    ],
)
def test_a_sum_that_cannot_be_made_is_refused(tmp_path, written, instead, words):
    assert written in SUMMING
    with pytest.raises(FeatureSetError, match=words):
        summing(tmp_path, SUMMING.replace(written, instead))
