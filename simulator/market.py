"""A market day by day: who is shown what, who clicks, and what of it lands when."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from data_contracts.labels import ATTRIBUTION_WINDOW, LATE_CLICK_ALLOWANCE
from data_contracts.landing import LandingWriter
from simulator.arrivals import Lines, broken, launched, received, told_twice
from simulator.exposures import Exposures
from simulator.knobs import Knobs
from simulator.population import CRAWLER, PERSON, made_ads, made_campaigns, made_users
from simulator.response import Response, drawn_delays, known_share
from simulator.rows import RowWriter, uuids
from simulator.streams import stream
from simulator.traffic import DAY_MICROSECONDS, HOUR_MICROSECONDS, Impressions, Site, check_ads
from simulator.truth import write_day


@dataclass(frozen=True)
class Plan:
    """How long and how busy a market is, and from when on: `start` is a full hour."""

    days: int
    impressions_per_day: int
    seed: int
    start: datetime

    @property
    def end(self) -> datetime:
        return self.start + timedelta(days=self.days)


@dataclass(frozen=True)
class Day:
    """What happened on a day: impressions with their ids, the probability of a click that counts, and all lines."""

    shown: Impressions
    ids: list[bytes]
    rate: np.ndarray
    lines: Lines


class Market:
    """A market to be gone through from its first day on; `pseudonym_of` a raw user id is what the tables hold. Raises
    MarketError for knobs that make no market."""

    def __init__(self, knobs: Knobs, plan: Plan, pseudonym_of: Callable[[str], str]) -> None:
        self.knobs, self.plan = knobs, plan
        self.users, campaigns = made_users(knobs, plan.seed), made_campaigns(knobs, plan.seed)
        self.ads = made_ads(knobs, campaigns, plan.seed, plan.days)
        check_ads(self.ads, plan.days)
        self.start = int(plan.start.astimezone(UTC).timestamp()) * 1_000_000
        self._site = Site(knobs, self.users, self.ads, plan.seed, plan.start.hour)
        self._response = Response(knobs, self.users, campaigns, self.ads, plan.seed, plan.start)
        first_day = self._site.day(0, plan.impressions_per_day)
        exposures = Exposures(knobs.response.fatigue_days).earlier(first_day.user, first_day.ad)
        self._response.settle_base(first_day, exposures)
        pseudonyms = [pseudonym_of(name) for name in self.users.names]
        self._writer = RowWriter(self.users, campaigns, self.ads, pseudonyms, self.start)
        self._exposures = Exposures(knobs.response.fatigue_days)
        window, allowance = ATTRIBUTION_WINDOW, LATE_CLICK_ALLOWANCE
        laws = [known_share(knobs.delay, knobs.arrival, window, allowance, is_bot) for is_bot in (False, True)]
        self._known_share = np.where(self.users.actor == PERSON, *laws)

    def days(self) -> Iterator[Day]:
        """Each day, in order."""
        for day in range(self.plan.days):
            yield self._day(day)

    def _day(self, day: int) -> Day:
        knobs, seed = self.knobs, self.plan.seed
        shown = self._site.day(day, self.plan.impressions_per_day)
        tested = (self.users.actor != CRAWLER) & (day >= knobs.experiment.start_day)
        is_treated = (tested & (self.users.variant == 1))[shown.user]
        rate = self._response.probability(shown, self._exposures.earlier(shown.user, shown.ad), is_treated)
        ids = stream(seed, "ids", day)
        impression_ids, prefix = uuids(ids, len(shown)), int(ids.integers(1 << 48))
        requests = [b"%012x-%d" % (prefix, page) for page in range(int(shown.request.max(initial=-1)) + 1)]
        rows = self._writer.impressions(shown, impression_ids, requests, tested, knobs.experiment.name)
        arriving = stream(seed, "arrivals", day)
        lines = [Lines.of("ad_impressions", received(shown.time, knobs.arrival, arriving), rows)]
        lines.append(self._clicks(day, shown, rate, impression_ids, arriving))
        told = Lines.joined(lines)
        lines += [told_twice(told, knobs.arrival, arriving), broken(told, knobs.arrival, arriving)]
        lines += self._catalog(day)
        return Day(shown, impression_ids, rate * self._known_share[shown.user], Lines.joined(lines))

    def _clicks(
        self, day: int, shown: Impressions, rate: np.ndarray, ids: list[bytes], arriving: np.random.Generator
    ) -> Lines:
        random = stream(self.plan.seed, "clicks", day)
        places = np.flatnonzero(random.random(len(shown)) < rate)
        clicked = shown.of(places)
        time = clicked.time + drawn_delays(self.knobs.delay, self.users.actor[clicked.user], random)
        rows = self._writer.clicks(clicked, time, uuids(random, len(places)), [ids[place] for place in places.tolist()])
        return Lines.of("clicks", received(time, self.knobs.arrival, arriving), rows)

    def _catalog(self, day: int) -> list[Lines]:
        """What is told of the ads that are launched on a day, and on the first of all users but crawlers."""
        ads = launched(self.ads, day)
        at = np.maximum(self.ads.launch[ads] * HOUR_MICROSECONDS, 0).astype(np.int64)
        lines = [Lines.of("ads", at, self._writer.ads(ads.tolist()))]
        if day == 0:
            users = stream(self.plan.seed, "catalog").permutation(np.flatnonzero(self.users.actor != CRAWLER))
            lines.append(Lines.of("users", np.zeros(len(users), np.int64), self._writer.users(users.tolist())))
        return lines


def simulated(market: Market, landing: Path, folder: Path) -> Iterator[int]:
    """Write the market into `landing`, and its truth into `folder`; yields day by day how many lines have landed. What
    arrives after the market's end does not land: nobody knows of it yet.

    A day is written while the next is made: the disk waits for no arithmetic.
    """
    with closing(LandingWriter(landing, "simulator")) as writer, ThreadPoolExecutor(1) as hand:
        waiting, written = Lines.of("ads", np.zeros(0, np.int64), []), Future[int]()
        for number, day in enumerate(market.days()):
            lines = Lines.joined([waiting, day.lines])
            is_due = lines.received < (number + 1) * DAY_MICROSECONDS
            due, waiting = lines.at(is_due), lines.at(~is_due)
            if number:
                yield written.result()
            written = hand.submit(_write, market, writer, folder, number, day, due)
        yield written.result()


def _write(market: Market, writer: LandingWriter, folder: Path, number: int, day: Day, due: Lines) -> int:
    for batches in due.batches(market.start):
        writer.append_rows(batches)
    date = f"{market.plan.start + timedelta(days=number):%Y-%m-%d}"
    write_day(folder, date, day.shown, day.ids, day.rate, market.users, market.ads)
    return len(due)
