"""A local table's `_delta_log`, read as the text it is: its versions, the files they added, what they touched."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

LOG = "_delta_log"

Partition = dict[str, str | None]
"""Partition column to value, as the log writes it; empty for a table without partitions."""


@dataclass(frozen=True)
class AddedFile:
    """A data file that a commit added."""

    path: Path
    size_bytes: int


class DamagedCommitError(ValueError):
    """A commit that is empty or cut short."""


def versions(table: Path) -> list[int]:
    """The versions whose commits the log still holds, oldest first."""
    return sorted(int(path.stem) for path in (table / LOG).glob("*.json") if path.stem.isdecimal())


def newest_version(table: Path) -> int:
    """The table's version; ValueError when there is no commit."""
    if not (held := versions(table)):
        raise ValueError(f"{table} has no commit")
    return held[-1]


def commit_file(table: Path, version: int) -> Path:
    """Where a version's commit is."""
    return table / LOG / f"{version:020d}.json"


def added_files(table: Path, version: int) -> list[AddedFile]:
    """The files that one commit added, of rows or of changes; raises DamagedCommitError."""
    adds = [action[kind] for action in _actions(table, version) for kind in ("add", "cdc") if kind in action]
    return [AddedFile(table / unquote(add["path"]), add["size"]) for add in adds]


def touched_partitions(table: Path, after_version: int, version: int) -> list[Partition] | None:
    """Partitions whose rows the commits after `after_version`, up to `version`, changed; None when the log no longer
    holds all of these commits. What merely moved rows between files (OPTIMIZE) touched nothing."""
    asked = range(after_version + 1, version + 1)
    if not set(asked) <= set(versions(table)):
        return None
    found: dict[str, Partition] = {}
    for number in asked:
        for action in _actions(table, number):
            for partition in _changed(action):
                found[json.dumps(partition, sort_keys=True)] = partition
    return list(found.values())


def _actions(table: Path, version: int) -> Iterator[dict[str, Any]]:
    content = commit_file(table, version).read_bytes()
    if not content:
        raise DamagedCommitError(f"{table.name} version {version} is empty")
    try:
        for line in content.splitlines():
            yield json.loads(line)
    except ValueError:
        raise DamagedCommitError(f"{table.name} version {version} is cut short") from None


def _changed(action: dict[str, Any]) -> list[Partition]:
    files = [action[kind] for kind in ("add", "remove") if kind in action]
    return [file.get("partitionValues") or {} for file in files if file.get("dataChange", True)]
