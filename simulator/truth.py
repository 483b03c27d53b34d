"""What a model is not told, beside the lake and never in it: Parquet files a day, and the market's knobs."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.disk import replace_whole, sync
from simulator.population import ACTORS, HOURS_A_DAY, Ads, Users, ad_name, campaign_name
from simulator.traffic import Impressions

MARKET = "market"
"""The folder of <home> that holds the truth."""


def write_day(
    folder: Path, day: str, shown: Impressions, ids: Sequence[bytes], rate: np.ndarray, users: Users, ads: Ads
) -> None:
    """<folder>/truth/<day>.parquet, a row an impression: `rate` is its probability of a click that becomes known within
    window and allowance, and launch_day is counted from the market's start."""
    campaigns = int(ads.campaign.max()) + 1
    table = pa.table(
        {
            "impression_id": pa.array(ids, pa.binary()).cast(pa.string()),
            "probability": rate,
            "actor": _named(users.actor[shown.user], ACTORS),
            "ad_id": _named(shown.ad, [*map(ad_name, range(len(ads)))]),
            "campaign_id": _named(ads.campaign[shown.ad], [*map(campaign_name, range(campaigns))]),
            "launch_day": np.floor_divide(ads.launch[shown.ad], HOURS_A_DAY).astype(np.int32),
        }
    )
    path = folder / "truth" / f"{day}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    pq.write_table(table, unfinished, use_dictionary=["actor", "ad_id", "campaign_id", "launch_day"])
    sync(unfinished)
    unfinished.replace(path)
    sync(path.parent)


def _named(numbers: np.ndarray, names: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(numbers.astype(np.int32), list(names))


def read_market(home: Path) -> dict[str, Any] | None:
    """What the market in `home` was made from; None where there is none."""
    file = home / MARKET / "market.json"
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return found


def market_end(told: Mapping[str, Any]) -> datetime:
    """Just after the last hour of a market that read_market describes."""
    return datetime.fromisoformat(told["start"]) + timedelta(days=told["days"])


def write_market(home: Path, told: Mapping[str, Any]) -> None:
    """What the market in `home` is made from, whole and on disk."""
    folder = home / MARKET
    folder.mkdir(parents=True, exist_ok=True)
    replace_whole(folder / "market.json", json.dumps(told, indent=1))
