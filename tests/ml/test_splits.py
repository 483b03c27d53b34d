"""Slices of time: where they begin and end, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from data_contracts.settings import Settings
from ml.splits import SliceError, rows_by_slice, time_slices

HOUR = 3600.0
AS_OF = 1_575_154_800.0  # 2019-11-30T23:00:00Z
END = AS_OF - 25 * HOUR


@pytest.fixture
def hours(settings: Settings) -> Settings:
    training = replace(settings.training, early_stopping_hours=3, calibration_hours=2, holdout_hours=1, warmup_hours=0)
    return replace(settings, training=training)


def test_slices_are_counted_back_from_the_newest_mature_instant(hours: Settings) -> None:
    slices = time_slices(AS_OF, END - 10 * HOUR, hours.training)
    assert {name: ((part.start - END) / HOUR, (part.end - END) / HOUR) for name, part in slices.items()} == {
        "train": (-10, -6),
        "stop": (-6, -3),
        "calibration": (-3, -1),
        "holdout": (-1, 0),
    }


@pytest.mark.parametrize(("first", "warmup", "start"), [(20, 4, 16), (20, 72, 13), (6, 72, 6), (5, 72, 6)])
def test_rows_without_a_history_are_not_trained_on_but_half_of_all_at_most_is_left_out(
    hours: Settings, first: int, warmup: int, start: int
) -> None:
    training = replace(hours.training, warmup_hours=warmup)
    train = time_slices(AS_OF, END - first * HOUR, training)["train"]
    assert ((train.start - END) / HOUR, (train.end - END) / HOUR) == (-start, -6)


def test_each_row_is_in_one_slice_and_a_boundary_belongs_to_the_later_one(hours: Settings) -> None:
    ago = np.array([10, 7, 6, 4, 3, 2, 1, 0.5, 0])
    slices = time_slices(AS_OF, END - 10 * HOUR, hours.training)
    rows = {name: part.rows(END - ago * HOUR) for name, part in slices.items()}
    assert {name: ago[chosen].tolist() for name, chosen in rows.items()} == {
        "train": [10, 7],
        "stop": [6, 4],
        "calibration": [3, 2],
        "holdout": [1, 0.5],
    }


def test_a_slice_without_a_click_is_an_error_that_says_which_and_what_is_in_it(hours: Settings) -> None:
    ago = np.repeat([9.0, 5.0, 2.0, 0.5], 3)
    labels = np.array([1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0], dtype=np.int8)
    with pytest.raises(SliceError) as raised:
        rows_by_slice(END - ago * HOUR, labels, time_slices(AS_OF, END - 9 * HOUR, hours.training))
    assert str(raised.value) == (
        "the calibration slice [2019-11-29T19:00:00Z, 2019-11-29T21:00:00Z) holds 3 impressions with 0 clicks; "
        "it needs clicks and non-clicks (the oldest row is of 2019-11-29T13:00:00Z; conf [training] sets the slices' "
        "hours)"
    )


@pytest.mark.parametrize("clicked", [[], [1, 1]])
def test_a_slice_that_is_empty_or_all_clicks_is_an_error(hours: Settings, clicked: list[int]) -> None:
    ago = np.array([9.0, 9.0, 5.0, 5.0, 2.0, 2.0] + [0.5] * len(clicked))
    labels = np.array([1, 0, 1, 0, 1, 0, *clicked], dtype=np.int8)
    with pytest.raises(SliceError, match=f"the holdout slice .* holds {len(clicked)} impressions"):
        rows_by_slice(END - ago * HOUR, labels, time_slices(AS_OF, END - 9 * HOUR, hours.training))


def test_a_log_shorter_than_the_later_slices_has_no_train_slice(hours: Settings) -> None:
    ago = np.repeat([5.0, 2.0, 0.5], 2)
    labels = np.array([1, 0] * 3, dtype=np.int8)
    with pytest.raises(SliceError, match=r"the train slice .* holds 0 impressions"):
        rows_by_slice(END - ago * HOUR, labels, time_slices(AS_OF, END - 5 * HOUR, hours.training))
