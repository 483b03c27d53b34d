"""A shop's log of two days, with bad lines, and its mapping."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from data_contracts.landing import read_segment

MAPPING = """[[ad_impressions]]
members = 'day-(?P<day>[0-9]+)\\.csv(\\.gz|\\.zst)?'
[ad_impressions.columns]
impression_id = "CAST(md5('impression/' || day || '/' || line_number) AS UUID)"
user_id = "visitor"
ad_id = "banner"
timestamp = "at"
[[clicks]]
members = 'day-(?P<day>[0-9]+)\\.csv(\\.gz|\\.zst)?'
where = "clicked = 1"
[clicks.columns]
click_id = "CAST(md5('click/' || day || '/' || line_number) AS UUID)"
impression_id = "CAST(md5('impression/' || day || '/' || line_number) AS UUID)"
timestamp = "CAST(\\"at\\" AS TIMESTAMPTZ) + INTERVAL 1 SECOND"
"""
DAY_1 = b"visitor,banner,at,clicked\nann,red,2024-03-01T10:00:00Z,0\nbob,blue,2024-03-01T10:00:05Z,1\n"
DAY_2 = (
    b"visitor,banner,at,clicked\neve,blue\nann@example.org,,2024-03-02T09:00:00Z,0\n\xff,red,2024-03-02T09:00:00Z,0\n"
)
ROWS = {"ad_impressions": 2, "clicks": 1}
REJECTED = {"ad_impressions": {"expected 4 fields, found 2": 1, "not valid UTF-8 at byte 1": 1, "ad_id: missing": 1}}


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def mapping(tmp_path) -> Path:
    (tmp_path / "shop.toml").write_text(MAPPING)
    return tmp_path / "shop.toml"


@pytest.fixture
def shop(tmp_path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "day-1.csv").write_bytes(DAY_1)
    (folder / "day-2.csv").write_bytes(DAY_2)
    (folder / "notes.txt").write_bytes(b"not a log")
    return folder


def impression(impression_id: str, user_id: str, ad_id: str, timestamp: str) -> dict[str, str]:
    return {"ad_id": ad_id, "impression_id": impression_id, "timestamp": timestamp, "user_id": user_id}


def outcome(tally) -> tuple[dict, dict]:
    return dict(tally.rows), {table: dict(reasons) for table, reasons in tally.rejected.items()}


def landed(settings) -> list[dict]:
    return [line for path in sorted(settings.landing.glob("*/*.jsonl")) for line in read_segment(path)]
