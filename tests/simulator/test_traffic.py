"""Who is shown what: how many, when, and with which probability an ad is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from simulator.knobs import MarketError
from simulator.population import CRAWLER, FARMER, PERSON
from simulator.traffic import BUSIEST_HOUR, DAY_MICROSECONDS, HOUR_MICROSECONDS, Site, check_ads, drawn_ads
from tests.simulator.conftest import SEED, knobs_with


@pytest.fixture(scope="module")
def site(knobs, users, ads):
    return Site(knobs, users, ads, SEED, first_hour=0)


@pytest.fixture(scope="module")
def shown(site):
    return site.day(1, 50_000)


def test_a_day_has_as_many_impressions_as_asked_in_order_of_time(shown, users, knobs):
    actor = users.actor[shown.user]
    assert len(shown) == 50_000
    assert (np.diff(shown.time) >= 0).all()
    assert (shown.time // DAY_MICROSECONDS == 1).all()
    assert (actor == CRAWLER).sum() == 50_000 * knobs.bots.crawler_share
    assert (actor == FARMER).sum() == 50_000 * knobs.bots.farm_share


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1_000])
def test_any_number_of_impressions_can_be_asked_for(site, count):
    shown = site.day(0, count)
    assert len(shown) == count
    assert sorted(set(shown.request.tolist())) == list(range(shown.request.max() + 1))


def test_the_slots_of_a_page_are_one_users_at_one_time_and_show_different_ads(shown, knobs):
    by_page: dict[int, list[int]] = {}
    for place, page in enumerate(shown.request.tolist()):
        by_page.setdefault(page, []).append(place)
    assert max(map(len, by_page.values())) == knobs.traffic.most_slots
    for places in by_page.values():
        page = shown.of(places)
        assert page.position.tolist() == list(range(1, len(places) + 1))
        assert {len(set(values.tolist())) for values in (page.time, page.user, page.section, page.device)} == {1}
        assert len(set(page.ad.tolist())) == len(places)


def test_an_ad_is_shown_only_while_it_runs(shown, ads):
    hour = shown.time // HOUR_MICROSECONDS
    assert (ads.launch[shown.ad] <= hour).all()
    assert (hour < ads.end[shown.ad]).all()


def test_in_each_slot_an_ad_is_drawn_as_often_as_its_propensity_says(ads):
    count, random = 200_000, np.random.default_rng(1)
    time = np.full(count, 5 * HOUR_MICROSECONDS)
    point = random.random(count)
    for slot in (0, 3):
        ad, propensity = drawn_ads(ads, time, point, np.full(count, slot), 4)
        drawn = np.bincount(ad, minlength=len(ads)) / count
        stated = np.zeros(len(ads))
        stated[ad] = propensity
        assert stated.sum() == pytest.approx(1)
        assert np.abs(drawn - stated).max() < 5 * np.sqrt(stated.max() / count)


def test_a_users_home_is_where_the_knobs_say_so_often(knobs, users, ads):
    shown = Site(knobs, users, ads, SEED, first_hour=0).day(0, 100_000)
    shown = shown.of((users.actor[shown.user] == PERSON) & (shown.position == 1))
    at_home = [
        (shown.device == users.home_device[shown.user]).mean(),
        (shown.location == users.home_location[shown.user]).mean(),
    ]
    assert at_home == pytest.approx([knobs.traffic.home_device_share, knobs.traffic.home_location_share], abs=0.01)


def test_requests_are_numbered_in_the_order_of_their_time(shown):
    first = np.unique(shown.request, return_index=True)[1]
    assert (np.diff(first) > 0).all()


def test_no_ad_in_an_hour_is_an_error_that_names_the_knobs(ads):
    with pytest.raises(MarketError, match="no ad runs in hour 30 of the market: more ads_at_start or ad_days"):
        check_ads(replace(ads, end=np.minimum(ads.end, 30)), 3)
    check_ads(ads, 3)


@pytest.mark.parametrize("first_hour", [0, 13])
def test_the_evening_is_the_busiest_also_where_a_day_begins_at_noon(knobs, users, ads, first_hour):
    time = Site(knobs, users, ads, SEED, first_hour).day(0, 50_000).time
    hours = np.bincount((time // HOUR_MICROSECONDS + first_hour) % 24, minlength=24)
    assert abs(int(hours.argmax()) - BUSIEST_HOUR) <= 1
    assert hours.max() / hours.min() == pytest.approx(4, rel=0.2)


def test_active_users_ask_as_zipf_says(shown, users):
    asked = np.bincount(shown.user[users.actor[shown.user] == PERSON], minlength=3_000)
    assert asked[0] / asked.sum() == pytest.approx(users.activity[0], rel=0.15)
    assert asked[:300].sum() / asked.sum() == pytest.approx(users.activity[:300].sum(), rel=0.05)


def test_a_farm_sees_the_campaigns_it_is_after(site, users, ads, knobs):
    shown = site.day(0, 50_000)
    actor, campaign = users.actor[shown.user], ads.campaign[shown.ad]
    assert len(np.unique(campaign[actor == FARMER])) == knobs.bots.farm_campaigns
    assert len(np.unique(campaign[actor == PERSON])) > 50


def test_a_farms_propensities_are_those_of_people(site, users):
    shown = site.day(0, 50_000)
    by_actor: dict[int, dict] = {PERSON: {}, FARMER: {}, CRAWLER: {}}
    columns = (users.actor[shown.user], shown.time // HOUR_MICROSECONDS, shown.ad, shown.propensity)
    for actor, hour, ad, propensity in zip(*(column.tolist() for column in columns), strict=True):
        by_actor[actor][hour, ad] = propensity
    both = set(by_actor[FARMER]) & set(by_actor[PERSON])
    assert len(both) > 20
    assert all(by_actor[FARMER][each] == by_actor[PERSON][each] for each in both)


def test_other_seeds_and_days_are_other_impressions(knobs, users, ads, shown):
    assert Site(knobs, users, ads, SEED, 0).day(1, 50_000).ad.tolist() == shown.ad.tolist()
    assert Site(knobs, users, ads, SEED + 1, 0).day(1, 50_000).ad.tolist() != shown.ad.tolist()
    assert Site(knobs, users, ads, SEED, 0).day(2, 50_000).ad.tolist() != shown.ad.tolist()


def test_a_market_without_bots_has_people_only(users, ads):
    people = knobs_with(bots={"crawler_share": 0.0, "farm_share": 0.0})
    assert (users.actor[Site(people, users, ads, SEED, 0).day(0, 1_000).user] == PERSON).all()
