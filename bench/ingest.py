"""Events a second from sealed landing segments to deduplicated, partitioned tables, beside DuckDB doing the same.

`python -m bench.ingest [--events N] [--scales 1 4 8] [--rounds R]`. load_events and refine_events run on a Spark server
of their own, at the platform's settings. Each scale holds that many days of N events, 2 % of them told twice; a last
load adds another day to the largest table. The last line of the output is one JSON object.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from bench import spark_server
from bench.first_run import overlay
from bench.landed_days import START, write_day
from data_contracts.settings import Settings, load
from spark_jobs import load_events, refine_events
from spark_jobs.session import Lake, connect

COLUMNS = {
    "ad_impressions": (
        *("impression_id", "user_id", "ad_id", "campaign_id", "advertiser_id", "timestamp"),
        *("device_type", "location", "position", "features"),
    ),
    "clicks": ("click_id", "impression_id", "clicked", "timestamp"),
}
"""What an event states, the id first."""


@dataclass(frozen=True)
class Load:
    """One load: its events, the seconds of load_events and refine_events together, and what it added to the disk."""

    events: int
    seconds: float
    table_bytes: int
    peak_memory_bytes: int

    @property
    def events_a_second(self) -> float:
        return self.events / self.seconds


def loaded(lake: Lake, server: int) -> Load:
    """Load and refine what waits in landing."""
    events = sum(1 for path in lake.settings.landing.glob("*/*.jsonl") for _ in path.open("rb"))
    held = lake.count(load_events.RAW_EVENTS) if lake.settings.lake.exists() else 0
    held_bytes = _size(lake.settings.lake)
    began = time.monotonic()
    load_events.main(lake, START, Namespace())
    refine_events.main(lake, START, Namespace(let_bad_batch_through=False))
    seconds = time.monotonic() - began
    return Load(events - held, seconds, _size(lake.settings.lake) - held_bytes, _peak(server))


def by_duckdb(landing: Path, target: Path) -> float:
    """Seconds of DuckDB for the same: lines parsed, each id once by the same rule, Parquet by day."""
    target.mkdir(parents=True)
    began = time.monotonic()
    with duckdb.connect(config={"threads": 2}) as connection:
        for name, names in COLUMNS.items():
            fields = ", ".join(f"line.row->>'{column}' AS {column}" for column in names)
            connection.execute(
                f"COPY (SELECT *, CAST(timestamp AS DATE) AS date FROM (SELECT {fields}, line.received_at, "
                f"sha256(line.row::VARCHAR) AS content_hash FROM read_json('{landing}/*/*.jsonl', "
                "format = 'newline_delimited', "
                "columns = {'table': 'VARCHAR', 'received_at': 'TIMESTAMP', 'row': 'JSON'}) "
                f"AS line WHERE line.\"table\" = '{name}') QUALIFY row_number() OVER (PARTITION BY {names[0]} "
                f"ORDER BY received_at, content_hash) = 1) TO '{target / name}' "
                "(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (date))"
            )
    return time.monotonic() - began


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


def _peak(server: int) -> int:
    """The most memory that the server ever held."""
    status = Path(f"/proc/{server}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000, help="events a day")
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 4, 8], help="days of each table")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the first scale")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="clicklake-bench-"))
    settings = load({"CLICKLAKE_HOME": str(folder / "home"), "CLICKLAKE_CONF": str(overlay(folder))})
    settings.home.mkdir(parents=True)
    try:
        server = spark_server.started(settings)
        try:
            _report(_measured(settings, server.pid, arguments))
        finally:
            spark_server.ended(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(settings: Settings, server: int, arguments: Namespace) -> dict[str, list[Load]]:
    found: dict[str, list[Load]] = {}
    spark = connect(settings)
    for scale in arguments.scales:
        for number in range(arguments.rounds if scale == arguments.scales[0] else 1):
            home = settings.home / f"x{scale}-{number}"
            lake = Lake(spark, replace(settings, home=home))
            for day in range(scale):
                write_day(lake.settings.landing, day, arguments.events)
            found.setdefault(f"{scale}x", []).append(loaded(lake, server))
            seconds = by_duckdb(lake.settings.landing, home / "duckdb")
            events = found[f"{scale}x"][-1].events
            found.setdefault(f"{scale}x DuckDB", []).append(Load(events, seconds, _size(home / "duckdb"), 0))
            if scale == arguments.scales[-1]:
                write_day(lake.settings.landing, scale, arguments.events)
                found[f"1x more into {scale}x"] = [loaded(lake, server)]
            shutil.rmtree(home)
    spark.stop()
    return found


def _report(found: Mapping[str, list[Load]]) -> None:
    table = Table("load", "events", "events/s (median)", "range", "bytes an event", "peak memory, MB")
    for name, loads in found.items():
        speeds = sorted(load.events_a_second for load in loads)
        last = loads[-1]
        table.add_row(
            name,
            f"{last.events:,}",
            f"{statistics.median(speeds):,.0f}",
            f"{speeds[0]:,.0f} to {speeds[-1]:,.0f}",
            f"{last.table_bytes / last.events:.0f}",
            f"{last.peak_memory_bytes / 2**20:,.0f}" if last.peak_memory_bytes else "",
        )
    Console().print(table)
    speeds_by_load = {name: [round(load.events_a_second) for load in loads] for name, loads in found.items()}
    print(json.dumps({"bench": "ingest", "cores": os.cpu_count(), "events_a_second": speeds_by_load}))


if __name__ == "__main__":
    main()
