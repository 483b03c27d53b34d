"""Shadows over mature labels, and canaries over labels of one age, beside figures computed in plain Python."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml.metrics import bootstrap_sums, calibration_ratio, normalized_entropy
from spark_jobs.comparisons import Arm, canary_comparison, compared, shadow_comparisons

pytestmark = pytest.mark.spark
START = datetime(2026, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHADOWED = (
    "impression_id STRING, model_version STRING, probability DOUBLE, served_version STRING, "
    "served_probability DOUBLE, predicted_at TIMESTAMP, received_at TIMESTAMP"
)
LABELLED = "impression_id STRING, state STRING, matures_at TIMESTAMP"
PREDICTED = (
    "impression_id STRING, source STRING, model_version STRING, probability DOUBLE, predicted_at TIMESTAMP, "
    "received_at TIMESTAMP"
)
SHOWN = "impression_id STRING, user_id STRING, timestamp TIMESTAMP, received_at TIMESTAMP, date DATE"
CLICKED = "impression_id STRING, clicked BOOLEAN, timestamp TIMESTAMP, received_at TIMESTAMP, date DATE"
VERSIONS = ("2", "1")


def test_a_shadow_is_compared_on_the_same_ads_and_judged_on_mature_labels(spark):
    as_of = START + 30 * HOUR
    random = np.random.default_rng(3)
    served, own = random.uniform(0.01, 0.3, 40), random.uniform(0.01, 0.3, 40)
    clicked = random.random(40) < 0.3
    rows = [
        (f"i{n}", "2", float(own[n]), "1", float(served[n]), START + n * timedelta(minutes=1), START) for n in range(40)
    ]
    rows += [("late", "2", 0.9, "1", 0.1, START, as_of), ("other", "3", 0.5, "1", 0.5, START, START)]
    rows += [("old", "2", 0.9, "1", 0.1, START - timedelta(days=31), START)]
    labels = [(f"i{n}", "clicked" if clicked[n] else "not_clicked", as_of) for n in range(20)]
    labels += [("i20", "pending", as_of + HOUR), ("i21", "clicked", as_of + HOUR)]
    found = shadow_comparisons(spark.createDataFrame(rows, SHADOWED), spark.createDataFrame(labels, LABELLED), as_of)
    assert [(row["model_version"], row["served_version"], row["predictions"]) for row in found] == [
        ("2", "1", 40),
        ("3", "1", 1),
    ]
    first, second = found
    logits = [np.log(p / (1 - p)) for p in (own, served)]
    assert math.isclose(first["score_ratio"], own.sum() / served.sum())
    assert math.isclose(first["score_correlation"], np.corrcoef(*logits)[0, 1])
    assert math.isclose(first["score_distance"], np.abs(logits[0] - logits[1]).mean())
    truth = clicked[:20].astype(np.int8)
    assert (first["impressions"], first["clicks"], first["since"]) == (20, truth.sum(), START)
    for prefix, scores in (("", own[:20]), ("served_", served[:20])):
        assert math.isclose(first[f"{prefix}normalized_entropy"], normalized_entropy(truth, scores))
        assert math.isclose(first[f"{prefix}calibration_ratio"], calibration_ratio(truth, scores))
    assert math.isclose(first["calibration_change"], own[:20].sum() / served[:20].sum())
    assert (second["impressions"], second["clicks"], second["calibration_ratio"]) == (0, 0, None)


@pytest.fixture(scope="module")
def arms():
    """20 users of the canary (2) and 30 of the champion (1) with 6 impressions each, an hour apart; and their
    clicks."""
    random = np.random.default_rng(11)
    predictions, impressions, clicks = [], [], []
    for user in range(50):
        is_canary = user < 20
        for number in range(6):
            shown, name = START + number * HOUR, f"{user}-{number}"
            source, version = ("canary", "2") if is_canary else ("model", "1")
            predictions.append((name, source, version, float(random.uniform(0.1, 0.5)), shown, shown))
            impressions.append((name, f"user-{user}", shown, shown, shown.date()))
            if random.random() < 0.4:
                delay = timedelta(minutes=float(random.choice([1, 30, 59, 60, 200])))
                clicks.append((name, True, shown + timedelta(seconds=1), shown + delay, shown.date()))
    return predictions, impressions, clicks


def canary(spark, arms, as_of, since=START, versions=VERSIONS, age=HOUR):
    tables = zip(arms, (PREDICTED, SHOWN, CLICKED), strict=True)
    return canary_comparison(*(spark.createDataFrame(*each) for each in tables), versions, since, as_of, age)


def brute_forced(arms, is_canary, as_of, since=START):
    """users, labels, probabilities of one arm at a label age of an hour."""
    predictions, impressions, clicks = arms
    users = {name: user for name, user, *_ in impressions}
    known_after = {name: known for name, _, _, known, _ in clicks}
    rows = []
    for name, source, _, probability, shown, _ in predictions:
        if (source == "canary") is is_canary and since <= shown <= as_of - HOUR and source in ("canary", "model"):
            is_clicked = name in known_after and known_after[name] < shown + HOUR
            rows.append((int(users[name].partition("-")[2]), int(is_clicked), probability))
    codes, labels, scores = zip(*rows, strict=True)
    return np.array(codes), np.array(labels, np.int8), np.array(scores)


def test_a_canary_is_compared_with_the_champion_at_one_label_age(spark, arms):
    as_of = START + 4 * HOUR
    found = canary(spark, arms, as_of)
    assert (found["model_version"], found["served_version"], found["predictions"]) == ("2", "1", 20 * 4)
    logs = []
    for is_canary, prefix in ((True, ""), (False, "served_")):
        users, labels, scores = brute_forced(arms, is_canary, as_of)
        assert (found[f"{prefix}impressions"], found[f"{prefix}clicks"]) == (len(labels), labels.sum())
        assert math.isclose(found[f"{prefix}calibration_ratio"], calibration_ratio(labels, scores))
        assert math.isclose(found[f"{prefix}normalized_entropy"], normalized_entropy(labels, scores))
        sums = bootstrap_sums(users, np.stack([scores, labels], axis=1).astype(float), 4000, 7)
        logs.append(np.log(sums[:, 0] / sums[:, 1]))
    low, high = np.exp(np.percentile(logs[0] - logs[1], [2.5, 97.5]))
    assert abs(math.log(found["calibration_change_low"] / low)) < 0.1
    assert abs(math.log(found["calibration_change_high"] / high)) < 0.1
    assert found["calibration_change_low"] < found["calibration_change"] < found["calibration_change_high"]


def test_no_label_is_older_or_younger_than_the_others(spark, arms):
    early, late = (canary(spark, arms, START + hours * HOUR) for hours in (5, 50))
    assert early["impressions"] == 20 * 5
    assert late["impressions"] == 20 * 6
    _, labels, _ = brute_forced(arms, True, START + 50 * HOUR)
    assert late["clicks"] == labels.sum() < sum(int(name.partition("-")[0]) < 20 for name, *_ in arms[2])


def test_only_the_canarys_own_time_and_the_champion_of_now_count(spark, arms):
    predictions, impressions, clicks = arms
    more = [("50-0", "stale_counts", "1", 0.9, START, START), ("51-0", "model", "0", 0.9, START, START)]
    more += [("52-0", "canary", "3", 0.9, START, START), ("53-0", "previous_model", "2", 0.9, START, START)]
    shown = [(name, "user-99", START, START, START.date()) for name, *_ in more]
    with_more = predictions + more, impressions + shown, clicks
    as_of = START + 8 * HOUR
    assert canary(spark, with_more, as_of) == canary(spark, arms, as_of)
    later = canary(spark, arms, as_of, since=START + 3 * HOUR)
    assert (later["since"], later["impressions"], later["served_impressions"]) == (START + 3 * HOUR, 60, 90)
    assert canary(spark, arms, as_of, versions=("9", "1")) is None


def test_without_clicks_nothing_is_said_of_calibration(spark, arms):
    predictions, impressions, _ = arms
    found = canary(spark, (predictions, impressions, [("none", True, START, START, START.date())]), START + 8 * HOUR)
    assert (found["impressions"], found["clicks"], found["calibration_ratio"]) == (120, 0, None)
    assert found["calibration_change"] is found["calibration_change_low"] is None


def test_an_arm_without_impressions_is_one():
    told = {"model_version": "2", "served_version": "1", "since": 0}
    found = compared("canary", START, told, Arm(0, 0, 0.0, 0.0), Arm(10, 10, 9.0, 1.0, 0.1))
    assert (found["normalized_entropy"], found["served_normalized_entropy"]) == (None, None)
    assert found["served_calibration_ratio"] == 0.9
