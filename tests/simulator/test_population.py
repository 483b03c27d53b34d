"""Users, campaigns and ads: how many, and that a longer market begins as a shorter one."""

import numpy as np
import pytest

from simulator.population import ACTORS, CRAWLER, FARMER, HOURS_A_DAY, PERSON, made_ads, made_users
from tests.simulator.conftest import SEED, knobs_with


def test_people_come_first_and_no_name_tells_who_is_one(knobs, users):
    counted = {ACTORS[kind]: int((users.actor == kind).sum()) for kind in (PERSON, FARMER, CRAWLER)}
    assert counted == {"person": 3_000, "farmer": knobs.bots.farmers, "crawler": knobs.bots.crawlers}
    assert (np.diff(users.actor) >= 0).all()
    assert len(set(users.names)) == len(users.names)
    assert {len(name) for name in users.names} == {len("user-000000")}
    assert list(users.names) != sorted(users.names)
    assert users.activity.sum() == pytest.approx(1)


def test_shares_of_consent_are_those_of_the_knobs(knobs):
    many = made_users(knobs_with(size={"users": 50_000}), SEED)
    denied, unknown = ((many.consent == kind).mean() for kind in (1, 2))
    assert (denied, unknown) == (
        pytest.approx(knobs.traffic.denied_share, abs=0.005), pytest.approx(knobs.traffic.unknown_share, abs=0.005),
    )  # fmt: skip


def test_new_ads_come_each_day_and_old_ones_run_into_the_market(knobs, campaigns):
    ads = made_ads(knobs, campaigns, SEED, 3)
    assert len(ads) == 120 + 3 * 5
    assert (ads.launch[:120] <= 0).all()
    assert (ads.end[:120] >= HOURS_A_DAY).all()
    assert (ads.launch[120:] // HOURS_A_DAY).tolist() == [day for day in range(3) for _ in range(5)]
    assert (ads.end - np.maximum(ads.launch, 0) >= HOURS_A_DAY).all()


def test_a_longer_market_has_the_ads_of_a_shorter_one(knobs, campaigns):
    short, long = (made_ads(knobs, campaigns, SEED, days) for days in (1, 4))
    assert long.quality[: len(short)].tolist() == short.quality.tolist()
    assert long.end[: len(short)].tolist() == short.end.tolist()


def test_an_ad_is_about_as_good_as_its_campaign(campaigns):
    ads = made_ads(knobs_with(size={"ads_at_start": 20_000}), campaigns, SEED, 1)
    off = ads.quality - campaigns.quality[ads.campaign]
    assert off.mean() == pytest.approx(0, abs=0.01)
    assert off.std() == pytest.approx(knobs_with().response.ad_quality, rel=0.03)
