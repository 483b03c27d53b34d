"""The knobs of a market, as conf/market.toml states them; docs/market.md says what each does to a click."""

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path

from data_contracts.configuration import CONF, configured


class MarketError(ValueError):
    """Knobs that make no market; the message names what would help."""


def _check_finite(section: object) -> None:
    for name, value in vars(section).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise MarketError(f"{name} is {value}, not a finite number")


def _check_least(section: object, least: float, *names: str) -> None:
    for name in names:
        if getattr(section, name) < least:
            raise MarketError(f"{name} is {getattr(section, name)}, less than {least}")


def _check_positive(section: object, *names: str) -> None:
    for name in names:
        if getattr(section, name) <= 0:
            raise MarketError(f"{name} is {getattr(section, name)}, not greater than 0")


def _check_shares(section: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(section, name) <= 1:
            raise MarketError(f"{name} is {getattr(section, name)}, not within 0 and 1")


@dataclass(frozen=True)
class Size:
    """How many there are of each."""

    users: int
    advertisers: int
    campaigns_per_advertiser: int
    ads_at_start: int
    new_ads_per_day: int
    ad_days: float
    topics: int
    sections: int
    locations: int
    age_bands: int

    def __post_init__(self) -> None:
        _check_finite(self)
        _check_least(self, 0, "new_ads_per_day")
        _check_least(self, 1, *(field.name for field in fields(self) if field.name != "new_ads_per_day"))


@dataclass(frozen=True)
class Traffic:
    """Who asks for ads, from where, and which are shown."""

    user_exponent: float
    ad_exponent: float
    most_slots: int
    home_device_share: float
    home_location_share: float
    denied_share: float
    unknown_share: float

    def __post_init__(self) -> None:
        _check_finite(self)
        if not 1 <= self.most_slots <= 20:
            raise MarketError(f"most_slots is {self.most_slots}, not within 1 and 20")
        _check_shares(self, "home_device_share", "home_location_share", "denied_share", "unknown_share")
        if self.denied_share + self.unknown_share > 1:
            raise MarketError("denied_share and unknown_share are more than 1 together")


@dataclass(frozen=True)
class Sizes:
    """How much each effect moves the logit of a click: standard deviations, and sizes."""

    click_rate: float
    campaign_quality: float
    ad_quality: float
    topic: float
    device: float
    location: float
    hour: float
    weekday: float
    age_band: float
    position: float
    section_and_topic: float
    device_and_topic: float
    age_band_and_topic: float
    location_and_advertiser: float
    user: float
    user_and_topic: float
    fatigue: float
    fatigue_days: int

    def __post_init__(self) -> None:
        _check_finite(self)
        _check_least(self, 0, *(field.name for field in fields(self)))
        _check_least(self, 1, "fatigue_days")
        if not 0 < self.click_rate < 1:
            raise MarketError(f"click_rate is {self.click_rate}, not within 0 and 1")


@dataclass(frozen=True)
class Drift:
    """What changes while the market runs."""

    topic: float
    period_days: float
    shift_day: int
    shift: float

    def __post_init__(self) -> None:
        _check_finite(self)
        _check_positive(self, "period_days")


@dataclass(frozen=True)
class Delay:
    """How long after the impression a click happens: a mixture of three laws."""

    minutes_share: float
    days_share: float
    seconds: float
    minutes: float
    days_scale_hours: float
    days_exponent: float

    def __post_init__(self) -> None:
        _check_finite(self)
        _check_shares(self, "minutes_share", "days_share")
        if self.minutes_share + self.days_share > 1:
            raise MarketError("minutes_share and days_share are more than 1 together")
        _check_positive(self, "seconds", "minutes", "days_scale_hours", "days_exponent")


@dataclass(frozen=True)
class Arrival:
    """How events reach the platform."""

    seconds: float
    late_share: float
    late_hours: float
    duplicate_share: float
    malformed_share: float

    def __post_init__(self) -> None:
        _check_finite(self)
        _check_shares(self, "late_share", "duplicate_share", "malformed_share")
        _check_positive(self, "seconds", "late_hours")


@dataclass(frozen=True)
class Bots:
    """Those that are no people."""

    crawlers: int
    crawler_share: float
    crawler_click_rate: float
    farmers: int
    farm_share: float
    farm_click_rate: float
    farm_campaigns: int

    def __post_init__(self) -> None:
        _check_shares(self, "crawler_share", "crawler_click_rate", "farm_share", "farm_click_rate")
        _check_least(self, 0, "crawlers", "farmers", "farm_campaigns")
        for name, share in (("crawlers", self.crawler_share), ("farmers", self.farm_share)):
            if share and not getattr(self, name):
                raise MarketError(f"{name} is 0, but {share} of all impressions are to be theirs")


@dataclass(frozen=True)
class Experiment:
    """A test of two variants whose effect is known."""

    name: str
    start_day: int
    effect: float

    def __post_init__(self) -> None:
        if self.name == "none" or not re.fullmatch(r"[\w.-]+", self.name, re.ASCII):
            raise MarketError(f"name is {self.name!r}, not a word of letters, digits, _ . and - (but none)")
        _check_finite(self)


@dataclass(frozen=True)
class Knobs:
    """All of them."""

    size: Size
    traffic: Traffic
    response: Sizes
    drift: Drift
    delay: Delay
    arrival: Arrival
    bots: Bots
    experiment: Experiment


def load_knobs(overlay: Path | None = None) -> Knobs:
    """The knobs of conf/market.toml, overlaid by another file. Raises ConfigurationError, which names file and key."""
    knobs: Knobs = configured(Knobs, CONF / "market.toml", *([overlay] if overlay else []))
    return knobs
