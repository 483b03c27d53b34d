"""Nothing is trained on a click stream that has stalled or doubled; small numbers are not judged."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from data_contracts.lake import open_lake
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, CLICKS
from ml.join_health import JoinHealthError, check_join_health, clicks_by_hour, newest_block

AS_OF = datetime(2026, 1, 10, 1, tzinfo=UTC)
END = datetime(2026, 1, 9, tzinfo=UTC)
"""What is older is mature as of AS_OF."""
HOUR = 3600


def stream(days: float, an_hour: int = 500, rate: float = 0.04, newest: float = 1.0, newest_hours: int = 6):
    """Hours, impressions and clicks, whose rate is `newest` times the rate of before in the newest hours."""
    count = int(days * 24)
    hours = int(END.timestamp()) - HOUR * np.arange(count, 0, -1)
    clicks = np.full(count, an_hour * rate)
    clicks[-newest_hours:] *= newest
    return hours, np.full(count, an_hour), clicks.astype(int)


def test_a_steady_stream_is_as_expected():
    block = newest_block(*stream(days=8))
    assert (block.hours, block.clicks, block.expected, block.ratio) == (6, 120, pytest.approx(120), pytest.approx(1))
    assert block.words == (
        "120 clicks on the impressions of the 6 hours from 2026-01-08 18:00 UTC, 1.00 of the 120 that the days before"
        " lead to expect"
    )


@pytest.mark.parametrize(("newest", "ratio"), [(0.0, 0.0), (0.3, 0.3), (2.5, 2.5)])
def test_the_newest_hours_are_held_against_the_days_before(newest, ratio):
    assert newest_block(*stream(days=8, newest=newest)).ratio == pytest.approx(ratio, rel=0.05)


def test_one_broken_day_in_the_history_does_not_make_a_sound_stream_look_broken():
    hours, impressions, clicks = stream(days=8)
    clicks[24:48] = 0
    assert newest_block(hours, impressions, clicks).ratio == pytest.approx(1)


def test_what_is_older_than_the_history_does_not_count():
    hours, impressions, clicks = stream(days=20)
    clicks[: 12 * 24] *= 9
    assert newest_block(hours, impressions, clicks).expected == pytest.approx(120)


def test_fewer_clicks_are_judged_over_more_hours_and_too_few_not_at_all():
    assert newest_block(*stream(days=8, an_hour=50, rate=0.1)).hours == 12
    assert newest_block(*stream(days=8, an_hour=20, rate=0.1)).hours == 24
    assert newest_block(*stream(days=8, an_hour=10, rate=0.1)) is None
    assert newest_block(*stream(days=0.7)) is None
    assert newest_block(*(np.zeros(0, np.int64),) * 3) is None


def test_hours_without_impressions_are_no_evidence():
    hours, impressions, clicks = stream(days=8)
    night = (hours // HOUR) % 24 < 12
    block = newest_block(hours[~night], impressions[~night], clicks[~night])
    assert block.ratio == pytest.approx(1)


@pytest.fixture
def write(settings: Settings):
    """Writes rows of a table, absent columns as the contract's blanks."""

    def write(table, rows):
        schema = open_lake(settings).sql(f"FROM {table.name}").to_arrow_table().schema
        moments = {"timestamp": END - timedelta(hours=1), "received_at": END, "date": END.date(), "clicked": True}
        full = [{field.name: (moments | row).get(field.name) for field in schema} for row in rows]
        write_deltalake(settings.lake / table.name, pa.Table.from_pylist(full, schema), mode="append")

    return write


VERSIONS = {"ad_impressions": 0, "clicks": 0}


def test_clicks_count_for_the_hour_of_their_impression_when_they_came_within_the_window(settings, write):
    at = END - timedelta(hours=2)
    shown = {"i-1": at, "i-2": at + timedelta(minutes=59), "i-3": at + timedelta(hours=1), "late": END}
    write(AD_IMPRESSIONS, [{"impression_id": name, "timestamp": moment} for name, moment in shown.items()])
    later = [("c-1", "i-1", 1), ("c-2", "i-1", 2), ("c-3", "i-2", 23), ("c-4", "i-3", 25), ("c-5", "i-3", -1)]
    clicks = [
        {"click_id": click, "impression_id": name, "timestamp": shown[name] + timedelta(hours=hours)}
        for click, name, hours in later
    ]
    clicks.append({**clicks[0], "click_id": "c-6", "clicked": False})
    clicks.append({**clicks[0], "click_id": "c-7", "received_at": AS_OF})
    write(CLICKS, clicks)
    hours, impressions, counted = clicks_by_hour(settings, VERSIONS, AS_OF)
    assert hours.tolist() == [int(at.timestamp()), int(at.timestamp()) + HOUR]
    assert (impressions.tolist(), counted.tolist()) == ([2, 1], [3, 0])


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (1.0, None),
        (0.2, r"the click stream has stalled: 10 clicks on the impressions of the 6 hours from 2026-01-08 13:00 UTC, "),
        (3.0, r"the click stream has doubled: 150 clicks .* \(conf \[training\] least_click_ratio 0\.5, most_click_r"),
    ],
)  # fmt: skip
def test_a_broken_stream_is_an_error_that_says_since_when_and_how_much(settings, write, share, said):
    shown, clicks = [], []
    for block in range(8):
        at = END - timedelta(hours=6 * (block + 1))
        for number in range(100):
            name = f"i-{block}-{number}"
            shown.append({"impression_id": name, "timestamp": at})
            times = int(share * 50) if block == 0 else 50
            clicks += [
                {"click_id": f"c-{name}-{again}", "impression_id": name, "timestamp": at}
                for again in range(times // 100 + (number < times % 100))
            ]
    write(AD_IMPRESSIONS, shown)
    write(CLICKS, clicks)
    if said is None:
        assert check_join_health(settings, VERSIONS, AS_OF).startswith("50 clicks on the impressions of")
        return
    with pytest.raises(JoinHealthError, match=said):
        check_join_health(settings, VERSIONS, AS_OF)
