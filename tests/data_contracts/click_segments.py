"""Clicks in landing segments, as the tests of the writer tell and read them."""

from datetime import UTC, datetime
from pathlib import Path

from data_contracts.landing import Event, read_segment

NOON = datetime(2019, 11, 30, 12, tzinfo=UTC)


def click(number: int) -> Event:
    return Event("clicks", NOON, {"click_id": f"c{number}"})


def ids(path: Path) -> list[str]:
    return [line["row"]["click_id"] for line in read_segment(path)]


def segments(folder: Path, ending: str = "jsonl") -> list[str]:
    return sorted(path.name.lstrip("0") for path in folder.glob(f"0*.{ending}"))
