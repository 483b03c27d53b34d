"""Small markets with the knobs of conf/market.toml, changed where a test says so."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from data_contracts.landing import read_segment
from simulator.knobs import Knobs, load_knobs
from simulator.market import Market, Plan, simulated
from simulator.population import Ads, Campaigns, Users, made_ads, made_campaigns, made_users

START = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 7
QUIET = {"duplicate_share": 0.0, "malformed_share": 0.0, "late_share": 0.0}


def knobs_with(**sections: dict[str, Any]) -> Knobs:
    """The knobs of conf/market.toml, with these keys of these sections."""
    knobs = load_knobs()
    return replace(knobs, **{name: replace(getattr(knobs, name), **keys) for name, keys in sections.items()})


@pytest.fixture(scope="session")
def knobs() -> Knobs:
    return knobs_with(size={"users": 3_000, "ads_at_start": 120, "new_ads_per_day": 5})


@pytest.fixture(scope="session")
def users(knobs: Knobs) -> Users:
    return made_users(knobs, SEED)


@pytest.fixture(scope="session")
def campaigns(knobs: Knobs) -> Campaigns:
    return made_campaigns(knobs, SEED)


@pytest.fixture(scope="session")
def ads(knobs: Knobs, campaigns: Campaigns) -> Ads:
    return made_ads(knobs, campaigns, SEED, 3)


def market(knobs: Knobs, days: int = 2, impressions: int = 4_000, seed: int = SEED, start: datetime = START) -> Market:
    return Market(knobs, Plan(days, impressions, seed, start), lambda name: f"pseudonym of {name}")


def written(made: Market, folder: Path) -> Path:
    """The folder, with the whole market in its landing and truth."""
    for _ in simulated(made, folder / "landing", folder):
        pass
    return folder


def landed(folder: Path) -> list[dict[str, Any]]:
    return [line for path in sorted(folder.glob("landing/*/*.jsonl")) for line in read_segment(path)]
