"""What a Delta log says of a table's past: the version that held at an instant."""

import json
from datetime import UTC, datetime
from pathlib import Path


class HistoryError(ValueError):
    """An instant that the logs cannot answer for; the message says which and why."""


def versions_at(lake: Path, instant: datetime | None) -> dict[str, int | None]:
    """The version of each table that existed at `instant`, by the time of its commits; without an instant, None for
    the newest version of each table that exists.

    HistoryError when no table existed yet, though some do now, or when a log no longer reaches so far back.
    """
    tables = sorted(log.parent for log in lake.glob("*/_delta_log"))
    if instant is None:
        return {table.name: None for table in tables}
    found = {table.name: version_at(table, instant) for table in tables}
    if tables and all(version is None for version in found.values()):
        began = min(committed_at(_commits(table)[0]) for table in tables)
        raise HistoryError(
            f"at {_text(instant)} there was no table yet: the first commit is of {_text(began)} "
            "(a version counts from its commit, not from the times in its rows)"
        )
    return {name: version for name, version in found.items() if version is not None}


def version_at(table: Path, instant: datetime) -> int | None:
    """The newest version committed at or before `instant`; None when the table was made later."""
    commits = _commits(table)
    newest = next((commit for commit in reversed(commits) if committed_at(commit) <= instant), None)
    if newest is None and _version(commits[0]) == 0:
        return None
    checkpoints = [_version(path) for path in (table / "_delta_log").glob("*.checkpoint*.parquet")]
    if newest and (_version(commits[0]) == 0 or any(version <= _version(newest) for version in checkpoints)):
        return _version(newest)
    reach = min((commit for commit in commits if _version(commit) in checkpoints), default=commits[-1])
    raise HistoryError(
        f"{table.name}: what it was at {_text(instant)} is no longer in its log, "
        f"which reaches back to {_text(committed_at(reach))}"
    )


def _commits(table: Path) -> list[Path]:
    return sorted(path for path in (table / "_delta_log").glob("*.json") if path.stem.isdigit())


def _version(path: Path) -> int:
    return int(path.name.partition(".")[0])


def committed_at(commit: Path) -> datetime:
    """By the commit's own account, which a copy of the lake keeps; the file's time where it gives none."""
    with commit.open() as lines:
        for line in lines:
            told = json.loads(line).get("commitInfo", {}).get("timestamp") if '"commitInfo"' in line else None
            if told is not None:
                return datetime.fromtimestamp(told / 1000, UTC)
    return datetime.fromtimestamp(commit.stat().st_mtime, UTC)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
