"""Who is in a market: users with latent interests, advertisers with campaigns, and ads that come and go."""

from dataclasses import dataclass

import numpy as np

from simulator.knobs import Knobs
from simulator.streams import stream, zipf_shares

DEVICES = ("phone", "desktop", "tablet", "tv")
DEVICE_SHARES = (0.55, 0.30, 0.10, 0.05)
CONSENTS = ("granted", "denied", "unknown")
PERSON, FARMER, CRAWLER = range(3)
ACTORS = ("person", "farmer", "crawler")
HOURS_A_DAY = 24
LONGEST_BEFORE = 30
"""Days before the market's start at which its first ads may have been launched."""


@dataclass(frozen=True)
class Users:
    """One row a user: people first, then the bots. `actor`, `home_device`, `home_location`, `age_band` and `consent`
    are numbers of their kinds, `variant` is 0 or 1; `activity` is the share of people's requests; `level` and
    `interest` (a column a topic) move the logit of a person's click."""

    names: tuple[str, ...]
    actor: np.ndarray
    variant: np.ndarray
    activity: np.ndarray
    home_device: np.ndarray
    home_location: np.ndarray
    age_band: np.ndarray
    consent: np.ndarray
    level: np.ndarray
    interest: np.ndarray


@dataclass(frozen=True)
class Campaigns:
    """One row a campaign: the number of its advertiser and topic, and what moves the logit of a click."""

    advertiser: np.ndarray
    topic: np.ndarray
    quality: np.ndarray


@dataclass(frozen=True)
class Ads:
    """One row an ad, by launch. `launch` and `end` are hours from the market's start, half-open; an ad is shown in
    proportion to `budget`; `quality` moves the logit of a click, its campaign's included."""

    campaign: np.ndarray
    launch: np.ndarray
    end: np.ndarray
    budget: np.ndarray
    quality: np.ndarray

    def __len__(self) -> int:
        return len(self.campaign)


def ad_name(ad: int) -> str:
    return f"ad-{ad:05d}"


def campaign_name(campaign: int) -> str:
    return f"campaign-{campaign}"


def made_users(knobs: Knobs, seed: int) -> Users:
    size, traffic, response = knobs.size, knobs.traffic, knobs.response
    random = stream(seed, "users")
    actor = np.repeat([PERSON, FARMER, CRAWLER], [size.users, knobs.bots.farmers, knobs.bots.crawlers])
    count = len(actor)
    numbers = random.permutation(count)  # a name does not tell how active its user is, or that a farmer is one
    consents = (1 - traffic.denied_share - traffic.unknown_share, traffic.denied_share, traffic.unknown_share)
    return Users(
        names=tuple(f"user-{number:06d}" for number in numbers),
        actor=actor,
        variant=numbers % 2,
        activity=zipf_shares(size.users, traffic.user_exponent),
        home_device=random.choice(len(DEVICES), count, p=DEVICE_SHARES),
        home_location=random.choice(size.locations, count, p=zipf_shares(size.locations, 0.8)),
        age_band=random.integers(size.age_bands, size=count),
        consent=random.choice(len(CONSENTS), count, p=consents),
        level=random.normal(0, response.user, count),
        interest=random.normal(0, response.user_and_topic, (count, size.topics)),
    )


def made_campaigns(knobs: Knobs, seed: int) -> Campaigns:
    random = stream(seed, "campaigns")
    count = knobs.size.advertisers * knobs.size.campaigns_per_advertiser
    return Campaigns(
        advertiser=np.arange(count) % knobs.size.advertisers,
        topic=random.integers(knobs.size.topics, size=count),
        quality=random.normal(0, knobs.response.campaign_quality, count),
    )


def made_ads(knobs: Knobs, campaigns: Campaigns, seed: int, days: int) -> Ads:
    """The ads of a market's first `days`: those it starts with, and each day's new ones, at full hours."""
    parts = [_first_ads(knobs, campaigns, seed), *(_new_ads(knobs, campaigns, seed, day) for day in range(days))]
    return Ads(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _first_ads(knobs: Knobs, campaigns: Campaigns, seed: int) -> tuple[np.ndarray, ...]:
    """Launched in the days before, and not at their end yet."""
    count = knobs.size.ads_at_start
    random = stream(seed, "ads")
    launch = -np.sort(random.integers(0, LONGEST_BEFORE * HOURS_A_DAY, count))[::-1]
    return _ads(knobs, campaigns, random, launch, np.zeros(count))


def _new_ads(knobs: Knobs, campaigns: Campaigns, seed: int, day: int) -> tuple[np.ndarray, ...]:
    random = stream(seed, "ads", day + 1)
    launch = day * HOURS_A_DAY + np.sort(random.integers(0, HOURS_A_DAY, knobs.size.new_ads_per_day))
    return _ads(knobs, campaigns, random, launch, launch)


def _ads(
    knobs: Knobs, campaigns: Campaigns, random: np.random.Generator, launch: np.ndarray, runs_from: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Columns of `Ads`; each runs for a day at least from `runs_from` on."""
    count = len(launch)
    campaign = random.integers(len(campaigns.topic), size=count)
    hours = HOURS_A_DAY + random.exponential(max(knobs.size.ad_days - 1, 0) * HOURS_A_DAY, count)
    ranks = random.integers(1, knobs.size.ads_at_start + 1, count)
    quality = campaigns.quality[campaign] + random.normal(0, knobs.response.ad_quality, count)
    return campaign, launch, runs_from + np.ceil(hours), ranks**-knobs.traffic.ad_exponent, quality
