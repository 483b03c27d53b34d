"""The truth: each effect moves the logit as it is told to, and clicks become known as often as the formula says."""

from dataclasses import replace

import numpy as np
import pytest

from data_contracts.labels import ATTRIBUTION_WINDOW, LATE_CLICK_ALLOWANCE
from simulator.arrivals import received
from simulator.exposures import Exposures
from simulator.population import CRAWLER, FARMER, PERSON
from simulator.response import Response, drawn_delays, known_share, sigmoid
from simulator.traffic import DAY_MICROSECONDS, Site
from tests.simulator.conftest import SEED, START, knobs_with

NONE = dict.fromkeys(
    (
        "campaign_quality", "ad_quality", "topic", "device", "location", "hour", "weekday", "age_band", "position",
        "user", "section_and_topic", "device_and_topic", "age_band_and_topic", "location_and_advertiser",
        "user_and_topic", "fatigue",
    ),
    0.0,
)  # fmt: skip
STILL = {"topic": 0.0, "shift": 0.0}


@pytest.fixture
def logits(users, campaigns, ads):
    """The logits of people's impressions of a day, above the base, when users and ads are all alike."""
    plain = replace(users, level=users.level * 0, interest=users.interest * 0)
    alike = replace(ads, quality=ads.quality * 0)

    def found(day=0, exposures=0, is_treated=False, response=None, drift=None):
        knobs = knobs_with(response=NONE | (response or {}), drift=STILL | (drift or {}))
        shown = Site(knobs, plain, alike, SEED, START.hour).day(day, 5_000)
        shown = shown.of(users.actor[shown.user] == PERSON)
        made = Response(knobs, plain, campaigns, alike, SEED, START)
        made.base = -3.0
        rate = made.probability(shown, np.full(len(shown), exposures), np.full(len(shown), is_treated))
        return shown, np.log(rate / (1 - rate)) + 3.0

    return found


def test_without_effects_all_are_alike(logits):
    _, logit = logits()
    assert logit == pytest.approx(0, abs=1e-9)


def test_a_lower_slot_a_repeated_ad_and_the_experiment_move_the_logit_as_stated(logits):
    shown, logit = logits(response={"position": 0.5})
    assert logit == pytest.approx(-0.5 * np.log2(shown.position))
    assert logits(exposures=3, response={"fatigue": 0.4})[1] == pytest.approx(-0.4 * np.log(4))
    assert logits(is_treated=True)[1] == pytest.approx(knobs_with().experiment.effect)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("device", lambda shown, _: shown.device),
        ("location", lambda shown, _: shown.location),
        ("hour", lambda shown, _: shown.time // 3_600_000_000 % 24),
        ("weekday", lambda shown, _: shown.time // 86_400_000_000),
        ("section_and_topic", lambda shown, topic: shown.section * 100 + topic),
        ("device_and_topic", lambda shown, topic: shown.device * 100 + topic),
    ],
)
def test_an_effect_depends_on_its_own_kinds_and_on_nothing_else(logits, campaigns, ads, name, kinds):
    shown, logit = logits(response={name: 0.5})
    kind = kinds(shown, campaigns.topic[ads.campaign[shown.ad]])
    values = {each: set(logit[kind == each].round(9).tolist()) for each in set(kind.tolist())}
    assert all(len(each) == 1 for each in values.values())
    assert len(set.union(*values.values())) == len(values)


def test_the_shift_comes_on_its_day_and_topics_drift_before_it(logits):
    before, after = (logits(day=day, drift={"shift": 0.2, "shift_day": 1})[1] for day in (0, 1))
    assert (before, after) == (pytest.approx(0, abs=1e-9), pytest.approx(0.2))
    wave = {"topic": 0.3, "period_days": 4.0, "shift_day": 9}
    assert np.abs(logits(drift=wave)[1]).max() == pytest.approx(0.3, abs=0.03)


def test_the_base_is_settled_so_that_people_click_at_the_stated_rate(knobs, users, campaigns, ads):
    shown = Site(knobs, users, ads, SEED, START.hour).day(0, 20_000)
    response = Response(knobs, users, campaigns, ads, SEED, START)
    exposures = Exposures(knobs.response.fatigue_days).earlier(shown.user, shown.ad)
    assert exposures.max() > 3
    response.settle_base(shown, exposures)
    rate = response.probability(shown, exposures, np.zeros(len(shown), bool))
    actor = users.actor[shown.user]
    assert rate[actor == PERSON].mean() == pytest.approx(knobs.response.click_rate, abs=1e-6)
    assert set(rate[actor == CRAWLER].tolist()) == {knobs.bots.crawler_click_rate}
    assert set(rate[actor == FARMER].tolist()) == {knobs.bots.farm_click_rate}


@pytest.mark.parametrize("is_bot", [False, True])
def test_clicks_become_known_in_time_as_often_as_the_formula_says(is_bot):
    knobs = knobs_with(arrival={"late_share": 0.3, "late_hours": 10.0})
    count, random = 400_000, np.random.default_rng(3)
    delay = drawn_delays(knobs.delay, np.full(count, FARMER if is_bot else PERSON), random)
    known = received(delay, knobs.arrival, random)
    counts = (delay < ATTRIBUTION_WINDOW * 1e6) & (known < (ATTRIBUTION_WINDOW + LATE_CLICK_ALLOWANCE) * 1e6)
    share = known_share(knobs.delay, knobs.arrival, ATTRIBUTION_WINDOW, LATE_CLICK_ALLOWANCE, is_bot)
    assert 0.9 < share < 0.99
    assert counts.mean() == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / count))


def test_delays_have_a_heavy_tail():
    days = drawn_delays(knobs_with().delay, np.full(100_000, PERSON), np.random.default_rng(3)) / DAY_MICROSECONDS
    assert np.median(days) * 86_400 < 30
    delay = knobs_with().delay
    beyond = delay.days_share * (1 + 24 / delay.days_scale_hours) ** -delay.days_exponent
    assert (days > 1).mean() == pytest.approx(beyond, rel=0.1)
    assert days.max() > 20


def test_the_logistic_function_is_that():
    assert sigmoid(np.array([0.0, np.log(3)])) == pytest.approx([0.5, 0.75])
