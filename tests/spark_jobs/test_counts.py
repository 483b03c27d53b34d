"""Counts as of a time equal the events counted one by one."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.features import DAY, HOUR, Count
from data_contracts.keys import entity_name
from spark_jobs.counts import with_counts
from spark_jobs.keyed import entity
from spark_jobs.tiles import hourly_tiles

pytestmark = pytest.mark.spark
IMPRESSIONS = (
    "impression_id STRING, timestamp TIMESTAMP, received_at TIMESTAMP, "
    "keys STRUCT<ad_id: STRING, user_id: STRING, position: STRING>"
)
CLICKS = "impression_id STRING, clicked BOOLEAN, timestamp TIMESTAMP, received_at TIMESTAMP"
KEY_TUPLES = ((), ("ad_id",), ("ad_id", "position"), ("user_id",), ("user_id", "ad_id"))
COUNTS = tuple(
    Count(keys, event, window)
    for keys in KEY_TUPLES
    for event in ("impressions", "clicks")
    for window in (2 * HOUR, DAY)
)
START = 1_767_225_600  # 2026-01-01T00:00:00Z


@pytest.fixture(autouse=True, params=[0, 1_000], ids=["tiles are brought", "tiles are shipped"])
def ways(request, monkeypatch):
    """Both ways in which tiles and rows meet."""
    monkeypatch.setattr("spark_jobs.counts.MOST_SHIPPED", request.param)


def at(seconds):
    return datetime.fromtimestamp(START + seconds, UTC)


def counted(spark, impressions, clicks, asked):
    """Impressions are (id, ad, user, slot, shown at, known at), clicks (id, clicked, at, known at), questions (ad,
    user, slot, snapshot); a user is None who denies consent."""
    shown = spark.createDataFrame(
        [(i, at(t), at(known), (ad, user, slot)) for i, ad, user, slot, t, known in impressions] or [], IMPRESSIONS
    )
    clicked = spark.createDataFrame([(i, is_click, at(t), at(known)) for i, is_click, t, known in clicks] or [], CLICKS)
    tiles = hourly_tiles(shown, clicked, KEY_TUPLES)
    questions = [(number, question[:3], START + question[3]) for number, question in enumerate(asked)]
    rows = spark.createDataFrame(
        questions, "number INT, keys STRUCT<ad_id: STRING, user_id: STRING, position: STRING>, snapshot_at BIGINT"
    )
    return {
        asked[row["number"]]: {c.name: row[c.name] for c in COUNTS}
        for row in with_counts(rows, tiles, COUNTS).collect()
    }


def brute_force(count, impressions, clicks, question):
    """The count straight from the events, one by one."""
    ad, user, slot, snapshot = question
    wanted = {"ad_id": ad, "user_id": user, "position": slot}
    total = 0
    for identity, shown_ad, shown_user, shown_slot, shown_at, shown_known in impressions:
        own = {"ad_id": shown_ad, "user_id": shown_user, "position": shown_slot}
        if any(own[key] is None or own[key] != wanted[key] for key in count.keys):
            continue
        known = [
            k for i, is_click, t, k in clicks
            if i == identity and is_click and shown_at <= t < shown_at + DAY and k < shown_at + DAY + HOUR
        ]  # fmt: skip
        if count.event == "clicks" and not known:
            continue
        known_at = shown_known if count.event == "impressions" else max(shown_known, min(known))
        total += snapshot - count.window <= known_at < snapshot
    return total


def test_an_event_counts_from_the_hour_after_it_became_known_until_its_window_has_passed(spark):
    impressions = [("i", "ad", "u", "1", HOUR, HOUR)]
    asked = [("ad", "u", "1", hours * HOUR) for hours in (1, 2, 3, 4)]
    found = counted(spark, impressions, [], asked)
    for name in ("ad_impressions_2h", "user_ad_impressions_2h", "all_impressions_2h"):
        assert [found[question][name] for question in asked] == [0, 1, 1, 0]


def test_a_click_counts_from_when_it_was_known_not_from_when_its_impression_was(spark):
    impressions, clicks = [("i", "ad", "u", "1", 0, 0)], [("i", True, 10, 5 * HOUR)]
    found = counted(spark, impressions, clicks, [("ad", "u", "1", hour * HOUR) for hour in (5, 6)])
    assert [found["ad", "u", "1", hour * HOUR]["ad_clicks_1d"] for hour in (5, 6)] == [0, 1]
    assert found["ad", "u", "1", 6 * HOUR]["ad_impressions_2h"] == 0


def test_two_clicks_on_one_impression_count_once_and_a_stated_non_click_never(spark):
    clicks = [("i", True, 20, 20), ("i", True, 10, 10), ("j", False, 10, 10)]
    shown = [("i", "ad", "u", "1", 0, 0), ("j", "ad", "u", "1", 0, 0)]
    found = counted(spark, shown, clicks, [("ad", "u", "1", HOUR)])
    assert found["ad", "u", "1", HOUR]["ad_clicks_1d"] == 1


@pytest.mark.parametrize(
    ("click_time", "known_at"),
    [(-1, 10), (DAY, DAY), (DAY - 1, DAY + HOUR)],
    ids=["before", "too late", "known too late"],
)
def test_a_click_that_makes_no_label_does_not_count(spark, click_time, known_at):
    found = counted(
        spark, [("i", "ad", "u", "1", 0, 0)], [("i", True, click_time, known_at)], [("ad", "u", "1", 30 * HOUR)]
    )
    assert found["ad", "u", "1", 30 * HOUR]["all_clicks_1d"] == 0


def test_an_entity_never_seen_counts_0(spark):
    found = counted(spark, [("i", "ad", "u", "1", 0, 0)], [], [("other", "v", "3", HOUR)])
    own = {name: count for name, count in found["other", "v", "3", HOUR].items() if not name.startswith("all_")}
    assert set(own.values()) == {0}


def test_a_user_without_consent_has_no_history_and_is_counted_with_the_ad(spark):
    impressions = [("i", "ad", None, "1", 0, 0), ("j", "ad", None, "1", 0, 0)]
    found = counted(spark, impressions, [("i", True, 10, 10)], [("ad", None, "1", HOUR)])["ad", None, "1", HOUR]
    assert (found["ad_impressions_1d"], found["ad_clicks_1d"], found["all_impressions_1d"]) == (2, 1, 2)
    assert {count for name, count in found.items() if name.startswith("user")} == {0}


@given(st.lists(st.text(alphabet="a|\\é ", max_size=4), min_size=1, max_size=3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_spark_names_an_entity_as_python_does(spark, values):
    keys = [f"c{number}" for number in range(len(values))]
    schema = f"keys STRUCT<{', '.join(f'{key}: STRING' for key in keys)}>"
    (row,) = spark.createDataFrame([(tuple(values),)], schema).select(entity(keys).alias("entity")).collect()
    assert row["entity"] == entity_name(values)


times = st.integers(0, 40 * HOUR)
users = st.sampled_from(["u", "v", None])
slots = st.sampled_from(["1", "2"])
events = st.lists(st.tuples(st.sampled_from(["a", "b"]), users, slots, times, st.integers(0, 3 * HOUR)), max_size=12)
clicks_on = st.lists(
    st.tuples(st.integers(0, 11), st.booleans(), st.integers(0, 30 * HOUR), st.integers(0, 3 * HOUR)), max_size=8
)


@given(events, clicks_on, st.data())
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_equal_the_events_counted_one_by_one(spark, shown, clicked, data):
    impressions = [(f"i{n}", ad, user, slot, t, t + late) for n, (ad, user, slot, t, late) in enumerate(shown)]
    clicks = [
        (f"i{n}", is_click, (t := (shown[n][3] if n < len(shown) else 0) + delay), t + late)
        for n, is_click, delay, late in clicked
    ]
    question = st.tuples(st.sampled_from(["a", "b"]), users, slots, st.integers(0, 60).map(lambda h: h * HOUR))
    asked = data.draw(st.lists(question, min_size=1, max_size=6, unique=True))
    found = counted(spark, impressions, clicks, asked)
    expected = {q: {c.name: brute_force(c, impressions, clicks, q) for c in COUNTS} for q in asked}
    assert found == expected
