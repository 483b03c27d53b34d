"""Rows a second of tiles, counts and whole training sets, beside DuckDB on the same tables.

`python -m bench.features [--impressions-per-day N] [--scales 1 4 16]`. A market of 14 days of N times the scale is
brought into the tables beforehand. Spark runs count_events from the beginning, then build_training_set. DuckDB makes
the tiles and the counts of the same rows, by running sums and ASOF joins, but no features; its counts must be the same.
The last line of the output is one JSON object.
"""

import argparse
import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from bench.market import END, market, spark_home
from data_contracts.features import HOUR, Count
from data_contracts.known_features import current
from data_contracts.labels import ATTRIBUTION_WINDOW, LATE_CLICK_ALLOWANCE
from data_contracts.lake import open_lake
from data_contracts.settings import Settings
from data_contracts.snapshot import PUBLISH_DELAY
from spark_jobs import build_training_set, count_events
from spark_jobs.counts import by_key_tuple
from spark_jobs.labelled_rows import labelled_rows
from spark_jobs.session import Lake

SEED = 7
MICROSECONDS = 1_000_000
KEYS = {
    "ad.topic": "CASE WHEN ad.received_at < snapshot THEN coalesce(ad.topic, '') ELSE '' END",
    "features.section": "coalesce(shown.features['section'], '')",
    "user.features.age_band": "CASE WHEN consent IS DISTINCT FROM 'denied' AND person.received_at < snapshot "
    "THEN coalesce(person.features['age_band'], '') ELSE '' END",
    "user_id": "CASE WHEN consent IS DISTINCT FROM 'denied' THEN shown.user_id END",
    "position": "coalesce(shown.position, 1)",
}
"""Keys that are not just a column of the impression."""


def by_spark(lake: Lake, as_of: datetime) -> dict[str, float]:
    """Seconds of each job, run one after another."""
    began = time.monotonic()
    count_events.main(lake, as_of, Namespace(anew=True))
    tiles = time.monotonic()
    build_training_set.main(lake, as_of, Namespace())
    return {"tiles": tiles - began, "training set": time.monotonic() - tiles}


def spark_sums(lake: Lake, as_of: datetime, counts: Sequence[Count]) -> dict[str, int]:
    """The sum of each count over the rows of the training set."""
    rows = labelled_rows(lake, as_of, [], counts)
    found = rows.agg(*[F.sum(count.name).alias(count.name) for count in counts]).collect()[0]
    return {count.name: int(found[count.name]) for count in counts}


def by_duckdb(settings: Settings, as_of: datetime, counts: Sequence[Count]) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds for tiles and for counts, and the sum of each count over the rows."""
    layout = by_key_tuple(counts)
    with closing(open_lake(settings)) as lake:
        lake.execute("SET threads = 2")
        lake.execute("SET memory_limit = '8GB'")
        began = time.monotonic()
        lake.execute(_keyed_rows({key for keys in layout for key in keys}))
        for number, keys in enumerate(layout):
            lake.execute(_tiles(number, keys))
        tiles = time.monotonic()
        mature = as_of - timedelta(seconds=ATTRIBUTION_WINDOW + LATE_CLICK_ALLOWANCE)
        lake.execute("CREATE TEMP TABLE counted AS SELECT * FROM keyed WHERE timestamp <= ?", [mature])
        for number, (keys, own) in enumerate(layout.items()):
            lake.execute(_counted(number, keys, own))
        counted = time.monotonic()
        sums = lake.sql(f"SELECT {', '.join(f'sum({count.name})::BIGINT' for count in counts)} FROM counted").fetchone()
    by_name = dict(zip([count.name for count in counts], sums or (), strict=True))
    return {"tiles": tiles - began, "counts": counted - tiles}, by_name


def _keyed_rows(keys: set[str]) -> str:
    values = ", ".join(f'{KEYS.get(key) or _column(key)} AS "{key}"' for key in sorted(keys))
    return f"""
        CREATE TEMP TABLE keyed AS
        WITH shown AS (
            SELECT *, to_timestamp(floor((epoch_us(timestamp) / 1e6 - {PUBLISH_DELAY}) / {HOUR}) * {HOUR}) AS snapshot
            FROM ad_impressions),
        first_click AS (
            SELECT impression_id, min(c.received_at) AS clicked_at
            FROM shown JOIN clicks c USING (impression_id)
            WHERE c.clicked AND c.timestamp >= shown.timestamp
                AND c.timestamp < shown.timestamp + INTERVAL {ATTRIBUTION_WINDOW} SECOND
                AND c.received_at < shown.timestamp + INTERVAL {ATTRIBUTION_WINDOW + LATE_CLICK_ALLOWANCE} SECOND
            GROUP BY impression_id),
        known AS (
            SELECT shown.*, clicked_at, ad, person,
                CASE WHEN coalesce(shown.consent, 'unknown') = 'unknown' AND person.received_at < snapshot
                    THEN person.consent ELSE shown.consent END AS stated_consent
            FROM shown LEFT JOIN first_click USING (impression_id)
            LEFT JOIN {_told_first("ads", "ad_id")} ad USING (ad_id)
            LEFT JOIN {_told_first("users", "user_id")} person ON person.user_id = shown.user_id)
        SELECT shown.impression_id, shown.timestamp, epoch_us(snapshot) // {HOUR * MICROSECONDS} AS asked,
            epoch_us(shown.received_at) // {HOUR * MICROSECONDS} AS known,
            CASE WHEN clicked_at IS NOT NULL
                THEN epoch_us(greatest(clicked_at, shown.received_at)) // {HOUR * MICROSECONDS} END AS clicked, {values}
        FROM (SELECT * EXCLUDE (consent), stated_consent AS consent FROM known) shown"""


def _told_first(table: str, key: str) -> str:
    """A catalogue of a market says one thing of each, some of it twice."""
    return f"(SELECT * FROM {table} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY received_at) = 1)"


def _column(key: str) -> str:
    return f"coalesce(shown.{key}, '')"


def _tiles(number: int, keys: tuple[str, ...]) -> str:
    names = "".join(f'"{key}", ' for key in keys)
    partition = f"PARTITION BY {names[:-2]} " if keys else ""
    whole = " AND ".join(f'"{key}" IS NOT NULL' for key in keys) or "true"
    return f"""
        CREATE TEMP TABLE running_{number} AS
        WITH event AS (
            SELECT {names} known AS hour, 1 AS impression, 0 AS click FROM keyed WHERE {whole}
            UNION ALL SELECT {names} clicked, 0, 1 FROM keyed WHERE clicked IS NOT NULL AND {whole}),
        tile AS (SELECT {names} hour, sum(impression) AS impressions, sum(click) AS clicks FROM event GROUP BY ALL)
        SELECT {names} hour, sum(impressions) OVER w AS impressions, sum(clicks) OVER w AS clicks
        FROM tile WINDOW w AS ({partition}ORDER BY hour)"""


def _counted(number: int, keys: tuple[str, ...], counts: Sequence[Count]) -> str:
    windows = dict.fromkeys(count.window for count in counts)
    at = {window: f"at_{place}" for place, window in enumerate(windows)}
    same = "".join(f' AND r."{key}" = {{0}}."{key}"' for key in keys)
    joins = [f"ASOF LEFT JOIN running_{number} upto ON r.asked > upto.hour{same.format('upto')}"]
    joins += [
        f"ASOF LEFT JOIN running_{number} {name} ON r.asked - {window // HOUR} > {name}.hour{same.format(name)}"
        for window, name in at.items()
    ]
    sums = ", ".join(f"coalesce(upto.{c.event}, 0) - coalesce({at[c.window]}.{c.event}, 0) AS {c.name}" for c in counts)
    return f"CREATE OR REPLACE TEMP TABLE counted AS SELECT r.*, {sums} FROM counted r {' '.join(joins)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impressions-per-day", type=int, default=12_500)
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 4, 16])
    asked = parser.parse_args()
    with spark_home() as settings:
        _report({scale: _at_scale(settings, scale * asked.impressions_per_day) for scale in asked.scales})


def _at_scale(settings: Settings, impressions: int) -> dict[str, Any]:
    with market(settings, SEED, impressions) as lake:
        counts = current(lake.settings).counts
        seconds = by_spark(lake, END)
        theirs, sums = by_duckdb(lake.settings, END, counts)
        if (ours := spark_sums(lake, END, counts)) != sums:
            wrong = {name: (ours[name], sums[name]) for name in ours if ours[name] != sums[name]}
            sys.exit(f"Spark and DuckDB count otherwise: {wrong}")
        rows = lake.count(build_training_set.TRAINING_SETS)
    return {"rows": rows, "counts": len(counts), **seconds} | {f"DuckDB {name}": each for name, each in theirs.items()}


def _report(found: dict[int, dict[str, Any]]) -> None:
    table = Table("scale", "rows", "work", "seconds", "rows/s")
    for scale, of in found.items():
        for name, seconds in of.items():
            if name not in ("rows", "counts"):
                table.add_row(f"{scale}x", f"{of['rows']:,}", name, f"{seconds:.1f}", f"{of['rows'] / seconds:,.0f}")
    Console().print(table)
    print(json.dumps({"bench": "features", "cores": os.cpu_count(), "scales": found}))


if __name__ == "__main__":
    main()
