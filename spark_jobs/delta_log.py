"""What the log of a Delta table on this machine says, read as the plain JSON lines it is: no Spark, no rows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

LOG = "_delta_log"


@dataclass(frozen=True)
class AddedFile:
    """A data file that a commit added; `partition` holds its partition columns as text (None: null)."""

    path: Path
    size: int
    partition: tuple[tuple[str, str | None], ...]
    has_new_rows: bool


class DamagedCommitError(ValueError):
    """A commit that is empty, cut short, or adds a file that is not there whole."""


def commit_file(table: Path, version: int) -> Path:
    return table / LOG / f"{version:020d}.json"


def versions(table: Path) -> list[int]:
    """The versions whose commits the log still holds, oldest first."""
    return sorted(int(path.stem) for path in (table / LOG).glob("*.json") if path.stem.isdecimal())


def actions(table: Path, version: int) -> Iterator[dict[str, Any]]:
    """The actions of one commit; raises DamagedCommitError."""
    content = commit_file(table, version).read_bytes()
    if not content:
        raise DamagedCommitError(f"{table.name} version {version} is empty")
    try:
        for line in content.splitlines():
            yield json.loads(line)
    except ValueError:
        raise DamagedCommitError(f"{table.name} version {version} is cut short") from None


def added_files(table: Path, version: int) -> list[AddedFile]:
    """The files that one commit added; raises DamagedCommitError."""
    adds = [action["add"] for action in actions(table, version) if "add" in action]
    return [
        AddedFile(
            table / unquote(add["path"]), add["size"], tuple(sorted(add["partitionValues"].items())), add["dataChange"]
        )
        for add in adds
    ]


def touched_partitions(table: Path, after: int) -> set[tuple[tuple[str, str | None], ...]] | None:
    """The partitions that got new rows in versions later than `after`; None when the log no longer goes back that far.
    Of a table without partitions the one partition is ()."""
    held = versions(table)
    if held and held[0] > after + 1:
        return None
    later = [version for version in held if version > after]
    return {file.partition for version in later for file in added_files(table, version) if file.has_new_rows}
