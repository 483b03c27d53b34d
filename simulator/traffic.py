"""Impressions of one day: who was shown which ad, when, where and in which slot."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from simulator.knobs import Knobs, MarketError
from simulator.population import CRAWLER, DEVICES, FARMER, HOURS_A_DAY, Ads, Users
from simulator.streams import stream, zipf_shares

SECOND = 1_000_000
"""Times are in microseconds."""
DAY_MICROSECONDS = 86_400 * SECOND
HOUR_MICROSECONDS = DAY_MICROSECONDS // HOURS_A_DAY
BUSIEST_HOUR = 20
LEAST_BUDGET = 1e-9
SECTION_EXPONENT = 0.6


@dataclass(frozen=True)
class Impressions:
    """One row an impression, by time. `time` is in microseconds from the market's start; `user` and `ad` are rows of
    Users and Ads; `request` numbers the day's pages; `position` begins at 1."""

    time: np.ndarray
    user: np.ndarray
    ad: np.ndarray
    device: np.ndarray
    location: np.ndarray
    section: np.ndarray
    position: np.ndarray
    propensity: np.ndarray
    request: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    def of(self, chosen: Any) -> "Impressions":
        """The rows at these places, or where this is true."""
        return Impressions(*(getattr(self, column.name)[chosen] for column in fields(self)))


class Site:
    """What shows ads to people and bots; its days begin at `first_hour` UTC."""

    def __init__(self, knobs: Knobs, users: Users, ads: Ads, seed: int, first_hour: int) -> None:
        self._knobs, self._users, self._ads = knobs, users, ads
        self._seed, self._hours = seed, hour_shares(first_hour)
        self._reach = np.cumsum(users.activity)
        spent = np.bincount(ads.campaign, np.where(ads.launch <= 0, ads.budget, 0))
        victims = np.argsort(spent)[::-1][: knobs.bots.farm_campaigns]
        self._attacked = np.where(np.isin(ads.campaign, victims), ads.budget, LEAST_BUDGET)

    def day(self, day: int, count: int) -> Impressions:
        """`count` impressions of a day, those of bots included."""
        bots = self._knobs.bots
        crawled, farmed = int(count * bots.crawler_share), int(count * bots.farm_share)
        parts = [
            self._of_people(stream(self._seed, "requests", day), count - crawled - farmed, day),
            self._of_bots(stream(self._seed, "bots", 2 * day), crawled, day, CRAWLER),
            self._of_bots(stream(self._seed, "bots", 2 * day + 1), farmed, day, FARMER),
        ]
        pages = np.cumsum([0, *(int(part["request"].max(initial=-1)) + 1 for part in parts)])
        for part, first in zip(parts, pages[:-1].tolist(), strict=True):
            part["request"] = part["request"] + first
        columns = [np.concatenate([part[column.name] for part in parts]) for column in fields(Impressions)]
        joined = Impressions(*columns)
        in_order = joined.of(np.argsort(joined.time, kind="stable"))
        return replace(in_order, request=_by_appearance(in_order.request))

    def _of_people(self, random: np.random.Generator, count: int, day: int) -> dict[str, np.ndarray]:
        """Each request is a page of the site with one slot or several, on the device and at the place its user has."""
        traffic, size, users = self._knobs.traffic, self._knobs.size, self._users
        slots = random.integers(1, traffic.most_slots + 1, count)
        pages = int(np.searchsorted(np.cumsum(slots), count)) + 1 if count else 0
        user = np.searchsorted(self._reach, random.random(pages)).clip(max=size.users - 1)
        page = {
            "time": day * DAY_MICROSECONDS + self._times(random, pages),
            "user": user,
            "device": _home_or_other(random, users.home_device[user], traffic.home_device_share, len(DEVICES)),
            "location": _home_or_other(random, users.home_location[user], traffic.home_location_share, size.locations),
            "section": random.choice(size.sections, pages, p=zipf_shares(size.sections, SECTION_EXPONENT)),
            "request": np.arange(pages),
        }
        shown = np.repeat(np.arange(pages), slots[:pages])[:count]
        slot = np.arange(count) - np.searchsorted(shown, shown)
        where = random.random(pages)[shown]
        ad, propensity = drawn_ads(self._ads, page["time"][shown], where, slot, traffic.most_slots)
        rows = {name: values[shown] for name, values in page.items()}
        return {**rows, "ad": ad, "propensity": propensity, "position": slot + 1}

    def _of_bots(self, random: np.random.Generator, count: int, day: int, actor: int) -> dict[str, np.ndarray]:
        """Pages with one slot. Crawlers come around the clock and see any ad; farmers come at the hours of people, and
        see to it that they are shown the campaigns they are after, those that spend the most at the start."""
        if actor == CRAWLER:
            drawn_by, times = self._ads.budget, random.integers(0, DAY_MICROSECONDS, count)
        else:
            drawn_by, times = self._attacked, self._times(random, count)
        time, only = day * DAY_MICROSECONDS + times, np.zeros(count, int)
        user = random.choice(np.flatnonzero(self._users.actor == actor), count) if count else only
        ad, propensity = drawn_ads(self._ads, time, random.random(count), only, 1, drawn_by)
        return {
            "time": time,
            "user": user,
            "ad": ad,
            "device": self._users.home_device[user],
            "location": self._users.home_location[user],
            "section": random.integers(self._knobs.size.sections, size=count),
            "position": only + 1,
            "propensity": propensity,
            "request": np.arange(count),
        }

    def _times(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Microseconds of a day, in order, as busy as its hours are."""
        hour = random.choice(HOURS_A_DAY, count, p=self._hours)
        return np.sort(hour * HOUR_MICROSECONDS + random.integers(0, HOUR_MICROSECONDS, count))


def check_ads(ads: Ads, days: int) -> None:
    """Raises MarketError when in an hour of the market no ad runs."""
    for hour in range(days * HOURS_A_DAY):
        if not ((ads.launch <= hour) & (hour < ads.end)).any():
            raise MarketError(f"no ad runs in hour {hour} of the market: more ads_at_start or ad_days are needed")


def hour_shares(first_hour: int) -> np.ndarray:
    """The share of a day's requests in each of its hours, of which `first_hour` (UTC) is the first: a wave with its top
    at BUSIEST_HOUR, four times its bottom."""
    hour = first_hour + np.arange(HOURS_A_DAY)
    wave = 1 + 0.6 * np.cos((hour - BUSIEST_HOUR) / HOURS_A_DAY * 2 * np.pi)
    shares: np.ndarray = wave / wave.sum()
    return shares


def _by_appearance(numbers: np.ndarray) -> np.ndarray:
    """The same numbers counted anew in the order in which they appear: they tell nothing but that."""
    _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
    anew: np.ndarray = np.argsort(np.argsort(first))[place]
    return anew


def _home_or_other(random: np.random.Generator, home: np.ndarray, home_share: float, kinds: int) -> np.ndarray:
    is_home = random.random(len(home)) < home_share
    other = (home + random.integers(1, max(kinds, 2), len(home))) % kinds
    return np.where(is_home, home, other)


def drawn_ads(
    ads: Ads, time: np.ndarray, point: np.ndarray, slot: np.ndarray, slots: int, drawn_by: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The ad of each impression and its propensity: its share of the budgets of the ads that run in that hour.

    Slot j of a page takes the ad at (point + j / slots) mod 1 of the cumulated shares (systematic sampling, Madow
    1949): each slot's ad has its share as its probability, and a page shows no ad twice whose share is under 1 / slots.
    Who gets round that draws by other weights, `drawn_by`; the propensity that is told is the same.
    """
    weights = ads.budget if drawn_by is None else drawn_by
    ad, propensity = np.zeros(len(time), int), np.zeros(len(time))
    hours = time // HOUR_MICROSECONDS
    where = (point + slot / slots) % 1.0
    for hour in np.unique(hours):
        running = np.flatnonzero((ads.launch <= hour) & (hour < ads.end))
        share = ads.budget[running] / ads.budget[running].sum()
        of_hour = np.flatnonzero(hours == hour)
        reach = np.cumsum(weights[running])
        chosen = np.searchsorted(reach, where[of_hour] * reach[-1], side="right").clip(max=running.size - 1)
        ad[of_hour], propensity[of_hour] = running[chosen], share[chosen]
    return ad, propensity
