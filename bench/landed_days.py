"""Days of ad events as sealed landing segments, made quickly and the same each time."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from data_contracts.landing import LandingWriter
from data_contracts.landing_lines import EncodedRows, instant_text

START = datetime(2026, 1, 1, tzinfo=UTC)
TOLD_TWICE = 0.02
CLICK_EVERY = 20
BATCH = 10_000
ENCODER = msgspec.json.Encoder(order="deterministic")


def write_day(landing: Path, day: int, events: int) -> None:
    """Write a day of events in the order of their times: 19 impressions a click, and some of both once more."""
    writer = LandingWriter(landing, "bench")
    drawn = random.Random(day)
    for number in range(0, events, BATCH):
        at = START + timedelta(days=day, seconds=86_400 * number / events)
        count = min(BATCH, events - number)
        clicks = [_click(drawn, at) for _ in range(count // CLICK_EVERY)]
        impressions = [_impression(drawn, at) for _ in range(count - len(clicks))]
        for table, rows in (("ad_impressions", impressions), ("clicks", clicks)):
            again = [row for row in rows if drawn.random() < TOLD_TWICE]
            writer.append_rows([EncodedRows(table, at, rows + again)])
    writer.close()


def _impression(drawn: random.Random, at: datetime) -> bytes:
    row = {
        "impression_id": _id(drawn),
        "user_id": str(UUID(int=drawn.getrandbits(17))),
        "ad_id": f"ad-{drawn.getrandbits(13)}",
        "campaign_id": f"campaign-{drawn.getrandbits(9)}",
        "advertiser_id": f"advertiser-{drawn.getrandbits(6)}",
        "timestamp": instant_text(at),
        "device_type": "mobile",
        "location": "DE",
        "position": 1 + drawn.getrandbits(3),
        "features": {"site": "news", "hour": "12"},
    }
    return ENCODER.encode(row)


def _click(drawn: random.Random, at: datetime) -> bytes:
    row = {"click_id": _id(drawn), "impression_id": _id(drawn), "clicked": True, "timestamp": instant_text(at)}
    return ENCODER.encode(row)


def _id(drawn: random.Random) -> str:
    return str(UUID(int=drawn.getrandbits(128)))
