from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.labels import DAY, HOUR, label_state, matures_at
from data_contracts.landing import Event
from data_contracts.tables import LABELS
from spark_jobs.label_impressions import labelled, main
from spark_jobs.refine_events import refine_batch
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
START = 1_767_225_600
SHOWN = "impression_id STRING, timestamp TIMESTAMP, received_at TIMESTAMP, date DATE"
CLICKS = "impression_id STRING, clicked BOOLEAN, timestamp TIMESTAMP, received_at TIMESTAMP"


def at(seconds):
    return datetime.fromtimestamp(START + seconds, UTC)


def states(spark, shown, clicks, as_of):
    impressions = [(f"i{n}", at(t), at(t), at(t).date()) for n, t in enumerate(shown)]
    told = [(f"i{n}", is_click, at(t), at(known)) for n, is_click, t, known in clicks]
    found = labelled(spark.createDataFrame(impressions, SHOWN), spark.createDataFrame(told, CLICKS), at(as_of))
    return {row["impression_id"]: row["state"] for row in found.collect()}


@pytest.mark.parametrize(
    ("click_at", "known_at", "state"),
    [
        (0, 0, "clicked"),
        (DAY - 1, DAY, "clicked"),
        (DAY, DAY, "not_clicked"),
        (10, DAY + HOUR - 1, "clicked"),
        (10, DAY + HOUR, "not_clicked"),
        (-1, 0, "not_clicked"),
    ],
)
def test_a_click_counts_within_its_window_and_while_the_label_is_not_frozen(spark, click_at, known_at, state):
    assert states(spark, [0], [(0, True, click_at, known_at)], 3 * DAY) == {"i0": state}


moments = st.integers(0, 3 * DAY)


@given(
    st.lists(moments, min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 4), st.booleans(), moments, moments), min_size=1, max_size=8),
    st.integers(0, 4 * DAY),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_spark_labels_as_the_pure_rule_does(spark, shown, clicks, as_of):
    expected = {
        f"i{n}": label_state(t, [(c, known) for i, is_click, c, known in clicks if i == n and is_click], as_of)
        for n, t in enumerate(shown)
        if t < as_of
    }
    assert states(spark, shown, clicks, as_of) == expected


def test_a_label_matures_a_window_and_an_allowance_after_its_impression(spark):
    shown = spark.createDataFrame([("i", at(7), at(7), at(7).date())], SHOWN)
    (row,) = labelled(shown, spark.createDataFrame([], CLICKS), at(DAY)).collect()
    assert row["matures_at"].replace(tzinfo=UTC).timestamp() == matures_at(START + 7) == START + 7 + 25 * HOUR


def test_an_earlier_as_of_takes_no_label_back_and_labels_what_came_late(lake, landed):
    events = (Event("ad_impressions", NOON, impression(0)), Event("clicks", NOON, click(0)))
    refine_batch(lake, landed(*events))
    assert main(lake, datetime(2026, 1, 12, tzinfo=UTC), None) == "labels: 1 clicked"
    refine_batch(lake, landed(Event("ad_impressions", NOON, impression(5))))
    assert main(lake, datetime(2026, 1, 11, tzinfo=UTC), None) == "labels: 1 clicked, 1 not_clicked"
    (as_of,) = lake.read(LABELS).selectExpr("unix_seconds(as_of) AS as_of").distinct().collect()
    assert as_of["as_of"] == datetime(2026, 1, 12, tzinfo=UTC).timestamp()
