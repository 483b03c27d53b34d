"""What serving has landed, read back; of a prediction record a row an ad, as model_predictions has them."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_contracts.landing import parsed_line


def landed_tables(landing: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows as landed, by table, in segments open or sealed."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for content in _contents(landing):
        for line in content.splitlines(keepends=True):
            told = parsed_line(line)
            found[told["table"]].append(told["row"])
    return found


def _contents(landing: Path) -> list[bytes]:
    """Of all segments; once more where one was sealed, which renames it, meanwhile."""
    while True:
        try:
            segments = sorted([*landing.glob("*/*.jsonl"), *landing.glob("*/*.open")])
            return [segment.read_bytes() for segment in segments]
        except FileNotFoundError:
            continue


def landed_rows(landing: Path) -> list[dict[str, Any]]:
    """All rows but those of shadows."""
    tables = landed_tables(landing)
    tables.pop("shadow_predictions", None)
    return [row for rows in tables.values() for landed in rows for row in stated_rows(landed)]


def stated_rows(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "slate" not in row:
        yield row
        return
    shared = {name: value for name, value in row.items() if name not in ("slate", "input_names")}
    for ad in row["slate"]:
        told = zip(row["input_names"], ad.pop("inputs"), strict=True)
        own = {name: value for name, value in told if value is not None}
        assert own.keys().isdisjoint(row["features"])
        yield {**shared, **ad, "features": {**row["features"], **own}}
