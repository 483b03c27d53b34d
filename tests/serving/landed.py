"""What serving has landed, read back; of a prediction record a row an ad, as model_predictions has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_contracts.landing import parsed_line


def landed_rows(landing: Path) -> list[dict[str, Any]]:
    """In segments open or sealed."""
    segments = sorted([*landing.glob("*/*.jsonl"), *landing.glob("*/*.open")])
    lines = [line for segment in segments for line in segment.read_bytes().splitlines(keepends=True)]
    return [row for line in lines for row in stated_rows(parsed_line(line)["row"])]


def stated_rows(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "slate" not in row:
        yield row
        return
    shared = {name: value for name, value in row.items() if name not in ("slate", "input_names")}
    for ad in row["slate"]:
        told = zip(row["input_names"], ad.pop("inputs"), strict=True)
        yield {**shared, **ad, "features": {name: value for name, value in told if value is not None}}
