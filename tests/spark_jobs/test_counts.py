from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.features import DAY, HOUR, Count, entity_name
from spark_jobs.counts import entity, hourly_tiles, with_counts

pytestmark = pytest.mark.spark
IMPRESSIONS = "impression_id STRING, ad_id STRING, position INT, received_at TIMESTAMP"
CLICKS = "impression_id STRING, clicked BOOLEAN, received_at TIMESTAMP"
COUNTS = tuple(
    Count(keys, event, window)
    for keys in (("ad_id",), ("ad_id", "position"))
    for event in ("impressions", "clicks")
    for window in (2 * HOUR, DAY)
)
START = 1_767_225_600  # 2026-01-01T00:00:00Z


def at(seconds):
    return datetime.fromtimestamp(START + seconds, UTC)


def counted(spark, impressions, clicks, asked):
    shown = spark.createDataFrame([(i, ad, slot, at(t)) for i, ad, slot, t in impressions] or [], IMPRESSIONS)
    clicked = spark.createDataFrame([(i, is_click, at(t)) for i, is_click, t in clicks] or [], CLICKS)
    tiles = hourly_tiles(shown, clicked, [("ad_id",), ("ad_id", "position")])
    questions = [(ad, slot, START + snapshot) for ad, slot, snapshot in asked]
    rows = spark.createDataFrame(questions, "ad_id STRING, position INT, snapshot_at BIGINT")
    return {
        (row["ad_id"], row["position"], row["snapshot_at"] - START): {c.name: row[c.name] for c in COUNTS}
        for row in with_counts(rows, tiles, COUNTS).collect()
    }


def brute_force(count, impressions, clicks, question):
    """The count straight from the events, one by one."""
    ad, slot, snapshot = question
    total = 0
    for identity, shown_ad, shown_slot, shown_at in impressions:
        if shown_ad != ad or ("position" in count.keys and shown_slot != slot):
            continue
        known = [t for i, is_click, t in clicks if i == identity and is_click]
        if count.event == "clicks" and not known:
            continue
        known_at = shown_at if count.event == "impressions" else max(shown_at, min(known))
        total += snapshot - count.window <= known_at < snapshot
    return total


def test_an_event_counts_from_the_hour_after_it_became_known_until_its_window_has_passed(spark):
    impressions = [("i", "ad", 1, HOUR)]
    asked = [("ad", 1, hours * HOUR) for hours in (1, 2, 3, 4)]
    found = counted(spark, impressions, [], asked)
    assert [found[question]["ad_impressions_2h"] for question in asked] == [0, 1, 1, 0]


def test_a_click_counts_from_when_it_was_known_not_from_when_its_impression_was(spark):
    found = counted(spark, [("i", "ad", 1, 0)], [("i", True, 5 * HOUR)], [("ad", 1, 5 * HOUR), ("ad", 1, 6 * HOUR)])
    assert [found["ad", 1, hour * HOUR]["ad_clicks_1d"] for hour in (5, 6)] == [0, 1]
    assert found["ad", 1, 6 * HOUR]["ad_impressions_2h"] == 0


def test_two_clicks_on_one_impression_count_once_and_a_stated_non_click_never(spark):
    clicks = [("i", True, 20), ("i", True, 10), ("j", False, 10)]
    found = counted(spark, [("i", "ad", 1, 0), ("j", "ad", 1, 0)], clicks, [("ad", 1, HOUR)])
    assert found["ad", 1, HOUR]["ad_clicks_1d"] == 1


def test_an_entity_never_seen_counts_0(spark):
    found = counted(spark, [("i", "ad", 1, 0)], [], [("other", 3, HOUR)])
    assert set(found["other", 3, HOUR].values()) == {0}


@given(st.lists(st.text(alphabet="a|\\é ", max_size=4), min_size=1, max_size=3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_spark_names_an_entity_as_python_does(spark, values):
    columns = [f"c{number}" for number in range(len(values))]
    (row,) = spark.createDataFrame([tuple(values)], columns).select(entity(columns).alias("entity")).collect()
    assert row["entity"] == entity_name(values)


times = st.integers(0, 40 * HOUR)
events = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 2), times), max_size=12)


@given(events, st.lists(st.tuples(st.integers(0, 11), st.booleans(), times), max_size=8), st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_equal_the_events_counted_one_by_one(spark, shown, clicked, data):
    impressions = [(f"i{number}", *event) for number, event in enumerate(shown)]
    clicks = [(f"i{number}", is_click, t) for number, is_click, t in clicked]
    question = st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 2), st.integers(0, 42).map(lambda h: h * HOUR))
    asked = data.draw(st.lists(question, min_size=1, max_size=6, unique=True))
    found = counted(spark, impressions, clicks, asked)
    expected = {q: {c.name: brute_force(c, impressions, clicks, q) for c in COUNTS} for q in asked}
    assert found == expected
