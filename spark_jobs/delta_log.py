"""A local table's `_delta_log`, read as the text it is: which version it has, and what was touched since another."""

import json
from pathlib import Path
from typing import Any

Partition = dict[str, str | None]
"""Partition column to value, as the log writes it; empty for a table without partitions."""


def newest_version(table: Path) -> int:
    """The table's version; ValueError when there is no commit."""
    commits = [int(path.stem) for path in (table / "_delta_log").glob("*.json") if path.stem.isdigit()]
    if not commits:
        raise ValueError(f"{table} has no commit")
    return max(commits)


def touched_partitions(table: Path, after_version: int, version: int) -> list[Partition] | None:
    """Partitions whose rows the commits after `after_version`, up to `version`, changed; None when the log no longer
    holds all of these commits. What merely moved rows between files (OPTIMIZE) touched nothing."""
    found: dict[str, Partition] = {}
    for number in range(after_version + 1, version + 1):
        commit = table / "_delta_log" / f"{number:020}.json"
        if not commit.exists():
            return None
        for line in commit.read_text().splitlines():
            for partition in _changed(json.loads(line)):
                found[json.dumps(partition, sort_keys=True)] = partition
    return list(found.values())


def _changed(action: dict[str, Any]) -> list[Partition]:
    files = [action[kind] for kind in ("add", "remove") if kind in action]
    return [file.get("partitionValues") or {} for file in files if file.get("dataChange", True)]
