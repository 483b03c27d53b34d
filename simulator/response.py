"""The truth: how probable a click is, and when it comes. docs/market.md has the formulas."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from simulator.knobs import Arrival, Delay, Knobs
from simulator.population import DEVICES, FARMER, HOURS_A_DAY, PERSON, Ads, Campaigns, Users
from simulator.streams import stream
from simulator.traffic import DAY_MICROSECONDS, HOUR_MICROSECONDS, SECOND, Impressions

DAYS_A_WEEK = 7
GRID = 200_000


@dataclass(frozen=True)
class Effects:
    """What moves the logit, drawn once a market; two-dimensional ones are indexed by both their kinds."""

    topic: np.ndarray
    topic_after: np.ndarray
    phase: np.ndarray
    device: np.ndarray
    location: np.ndarray
    hour: np.ndarray
    weekday: np.ndarray
    age_band: np.ndarray
    section_and_topic: np.ndarray
    device_and_topic: np.ndarray
    age_band_and_topic: np.ndarray
    location_and_advertiser: np.ndarray


def drawn_effects(knobs: Knobs, seed: int) -> Effects:
    random, size, response = stream(seed, "effects"), knobs.size, knobs.response
    return Effects(
        topic=random.normal(0, response.topic, size.topics),
        topic_after=random.normal(0, response.topic, size.topics),
        phase=random.random(size.topics),
        device=random.normal(0, response.device, len(DEVICES)),
        location=random.normal(0, response.location, size.locations),
        hour=random.normal(0, response.hour, HOURS_A_DAY),
        weekday=random.normal(0, response.weekday, DAYS_A_WEEK),
        age_band=random.normal(0, response.age_band, size.age_bands),
        section_and_topic=random.normal(0, response.section_and_topic, (size.sections, size.topics)),
        device_and_topic=random.normal(0, response.device_and_topic, (len(DEVICES), size.topics)),
        age_band_and_topic=random.normal(0, response.age_band_and_topic, (size.age_bands, size.topics)),
        location_and_advertiser=random.normal(0, response.location_and_advertiser, (size.locations, size.advertisers)),
    )


class Response:
    """Click probabilities of one market, which begins at the full hour `start`."""

    def __init__(self, knobs: Knobs, users: Users, campaigns: Campaigns, ads: Ads, seed: int, start: datetime) -> None:
        self._knobs, self._users, self._campaigns, self._ads = knobs, users, campaigns, ads
        self._effects, self._first_hour = drawn_effects(knobs, seed), start.weekday() * HOURS_A_DAY + start.hour
        self.base = 0.0

    def settle_base(self, shown: Impressions, exposures: np.ndarray) -> None:
        """Set the base so that the people of a day click at the knobs' click rate."""
        people = self._users.actor[shown.user] == PERSON
        untreated = np.zeros(np.count_nonzero(people), bool)
        logit = self._logit_of_people(shown.of(people), exposures[people], untreated) - self.base
        low, high = -20.0, 20.0
        while high - low > 1e-9:
            middle = (low + high) / 2
            too_many = float(sigmoid(logit + middle).mean()) > self._knobs.response.click_rate
            low, high = (low, middle) if too_many else (middle, high)
        self.base = low

    def probability(self, shown: Impressions, exposures: np.ndarray, is_treated: np.ndarray) -> np.ndarray:
        """The probability that each impression is clicked, ever. `exposures` counts the earlier showings of the ad to
        the user, `is_treated` says where the experiment's variant b was seen."""
        actor, bots = self._users.actor[shown.user], self._knobs.bots
        rate = np.where(actor == FARMER, bots.farm_click_rate, bots.crawler_click_rate)
        people = np.flatnonzero(actor == PERSON)
        rate[people] = sigmoid(self._logit_of_people(shown.of(people), exposures[people], is_treated[people]))
        return rate

    def _logit_of_people(self, shown: Impressions, exposures: np.ndarray, is_treated: np.ndarray) -> np.ndarray:
        effects, knobs, users = self._effects, self._knobs, self._users
        campaign = self._ads.campaign[shown.ad]
        topic, advertiser = self._campaigns.topic[campaign], self._campaigns.advertiser[campaign]
        age_band = users.age_band[shown.user]
        weekday, hour = np.divmod(shown.time // HOUR_MICROSECONDS + self._first_hour, HOURS_A_DAY)
        logit: np.ndarray = (
            self.base
            + self._ads.quality[shown.ad]
            + self._of_topic(topic, shown.time)
            + effects.device[shown.device]
            + effects.location[shown.location]
            + effects.hour[hour]
            + effects.weekday[weekday % DAYS_A_WEEK]
            + effects.age_band[age_band]
            - knobs.response.position * np.log2(shown.position)
            + effects.section_and_topic[shown.section, topic]
            + effects.device_and_topic[shown.device, topic]
            + effects.age_band_and_topic[age_band, topic]
            + effects.location_and_advertiser[shown.location, advertiser]
            + users.level[shown.user]
            + users.interest[shown.user, topic]
            - knobs.response.fatigue * np.log1p(exposures)
            + knobs.experiment.effect * is_treated
        )
        return logit

    def _of_topic(self, topic: np.ndarray, time: np.ndarray) -> np.ndarray:
        """A topic's popularity: a level, which the shift draws anew, and a slow wave."""
        drift, effects = self._knobs.drift, self._effects
        days = time / DAY_MICROSECONDS
        wave: np.ndarray = drift.topic * np.sin(2 * np.pi * (days / drift.period_days + effects.phase[topic]))
        is_shifted = days >= drift.shift_day
        level: np.ndarray = np.where(is_shifted, effects.topic_after[topic] + drift.shift, effects.topic[topic])
        wave += level
        return wave


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logit))."""
    probability: np.ndarray = 1 / (1 + np.exp(-logit))
    return probability


def drawn_delays(delay: Delay, actor: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Microseconds from each impression to its click: seconds, minutes or days (Lomax) for people; seconds for bots."""
    kind, count = random.random(len(actor)), len(actor)
    quick = random.exponential(delay.seconds, count)
    slow = random.exponential(delay.minutes * 60, count)
    days = random.pareto(delay.days_exponent, count) * delay.days_scale_hours * 3600
    is_slow = kind < delay.days_share + delay.minutes_share
    seconds = np.select([actor != PERSON, kind < delay.days_share, is_slow], [quick, days, slow], quick)
    return (seconds.clip(0.05, 86_400 * 365) * SECOND).astype(np.int64)


def known_share(delay: Delay, arrival: Arrival, window: float, allowance: float, is_bot: bool = False) -> float:
    """The probability that a click that happens counts for its label: it happens within `window` seconds of its
    impression, and has reached the platform `allowance` seconds after that at the latest.

    The integral over the delay d of P(arrival <= window + allowance - d), by the distributions' closed forms.
    """
    edges = np.concatenate([[0.0], np.geomspace(1e-3, window, GRID)])
    mass = np.diff(_delay_law(delay, edges, is_bot))
    left = window + allowance - (edges[1:] + edges[:-1]) / 2
    quick = -np.expm1(-left / arrival.seconds)
    late = -np.expm1(-left / (arrival.late_hours * 3600))
    return float(mass @ ((1 - arrival.late_share) * quick + arrival.late_share * late))


def _delay_law(delay: Delay, seconds: np.ndarray, is_bot: bool) -> np.ndarray:
    """P(delay <= seconds)."""
    quick = -np.expm1(-seconds / delay.seconds)
    if is_bot:
        return quick
    slow = -np.expm1(-seconds / (delay.minutes * 60))
    days = 1 - (1 + seconds / (delay.days_scale_hours * 3600)) ** -delay.days_exponent
    quick_share = 1 - delay.minutes_share - delay.days_share
    law: np.ndarray = quick_share * quick + delay.minutes_share * slow + delay.days_share * days
    return law
