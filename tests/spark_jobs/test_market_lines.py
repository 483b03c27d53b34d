"""A simulated market on its way through the real jobs: every event in its table once, broken lines rejected."""

from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from data_contracts.landing import read_segment
from data_contracts.tables import AD_IMPRESSIONS, ADS, CLICKS, LANDED, REJECTED_EVENTS, USERS
from simulator.knobs import load_knobs
from simulator.market import Market, Plan, simulated
from spark_jobs import load_events, refine_events

pytestmark = pytest.mark.spark
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_market_is_refined_into_its_tables_and_only_broken_lines_are_rejected(lake):
    knobs = load_knobs()
    knobs = replace(knobs, size=replace(knobs.size, users=400), arrival=replace(knobs.arrival, malformed_share=0.01))
    market = Market(knobs, Plan(1, 2_000, 7, START), lambda name: f"pseudonym of {name}")
    for _ in simulated(market, lake.settings.landing, lake.settings.home / "market"):
        pass
    end = START + timedelta(days=1)
    load_events.main(lake, end, None)
    refine_events.main(lake, end, Namespace(let_bad_batch_through=False))
    lines = [line for path in lake.settings.landing.glob("*/*.jsonl") for line in read_segment(path)]
    broken = {
        line["row"]["impression_id"] for line in lines if str(line["row"].get("impression_id")).startswith("brok")
    }
    for table in (AD_IMPRESSIONS, CLICKS, ADS, USERS):
        key = LANDED[table.name].key
        landed = {
            tuple(line[name] if name == "received_at" else line["row"][name] for name in key)
            for line in lines
            if line["table"] == table.name and line["row"].get("impression_id") not in broken
        }
        assert lake.count(table) == len(landed)
    rejected = lake.read(REJECTED_EVENTS).select("reason").distinct().collect()
    assert lake.count(REJECTED_EVENTS) == len(broken)
    assert sorted(row["reason"] for row in rejected) == [
        "ad_id: missing", "position: not a INT", "timestamp: not a TIMESTAMP",
    ]  # fmt: skip
    assert lake.read(AD_IMPRESSIONS).where("is_clock_skewed").count() == 0
