"""Counts of entities as of an hour, from the online snapshot; noticed and reopened when a newer one is published."""

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypedDict

import lmdb

from data_contracts.snapshot import CURRENT, META_KEY, SNAPSHOT_CADENCE, SnapshotMeta, sha256, stated_checksum
from serving.lookup import LookUp

LOGGER = logging.getLogger(__name__)

STALE_AFTER = 2 * SNAPSHOT_CADENCE
"""Age in seconds past which counts are called stale: a snapshot on time is never that old, nor is one an hour late."""
CLOCK_SKEW = 300
"""Seconds by which this machine's clock may be behind the one that published."""
CHECK_SECONDS = 120
ROOT = Path(__file__).resolve().parent.parent


class SnapshotStatus(TypedDict):
    """The snapshot in use, and why there is none newer."""

    state: Literal["fresh", "stale", "missing"]
    as_of: datetime | None
    age_seconds: float | None
    problem: str | None


class Snapshot:
    """One published snapshot, open for reading; it stays readable when its file is replaced or removed. Raises
    ValueError or TypeError on a file of another format."""

    def __init__(self, path: Path) -> None:
        self._environment = lmdb.open(str(path), subdir=False, readonly=True, lock=False)
        # One for as long as the snapshot is held: the file is never written again, and to begin one costs two look-ups.
        self._transaction = self._environment.begin()
        try:
            self.meta = _meta(self._transaction)
        except (ValueError, TypeError):
            self.close()
            raise
        self.lookup = LookUp(self.meta, self._transaction)
        self.names = frozenset(self.lookup.names)
        self.as_of = datetime.fromtimestamp(self.meta.as_of, UTC)

    def close(self) -> None:
        """Nothing can be looked up any more."""
        self._environment.close()

    def age(self, now: datetime) -> float:
        """Seconds from as_of to `now`."""
        return now.timestamp() - self.meta.as_of

    def is_fresh(self, now: datetime) -> bool:
        """Neither too old nor, as can be with a stated clock, of a time that has not come yet."""
        return -CLOCK_SKEW <= self.age(now) <= STALE_AFTER


class SnapshotWatch:
    """Keeps `current` at the newest usable snapshot; `problem` says why there is none, or none newer."""

    def __init__(self, snapshots: Path) -> None:
        self._link = snapshots / CURRENT
        self._seen: tuple[int, ...] = ()
        self.current: Snapshot | None = None
        self.problem = "not looked for yet"

    def check(self) -> None:
        """Opens what `current` points at when that has changed. What cannot be used is reported and left alone."""
        try:
            path = self._link.resolve(strict=True)
            state = path.stat()
        except OSError:
            self._seen = ()
            self._report("no snapshot of the counts is published")
            return
        identity = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
        if identity == self._seen:
            return
        try:
            found = _sound(path)
        except (ValueError, TypeError) as error:
            self._seen = identity
            self._report(f"{path.name} cannot be used: {error}")
            return
        self.current, self._seen, self.problem = found, identity, ""
        LOGGER.info("counts as of %s", found.as_of.isoformat())

    def close(self) -> None:
        """Lets go of the snapshot in use: LMDB opens a file once a process."""
        if self.current is not None:
            self.current.close()
            self.current = None

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            LOGGER.warning("%s", problem)
        self.problem = problem

    def status(self, now: datetime) -> SnapshotStatus:
        """For /health."""
        snapshot = self.current
        state: Literal["fresh", "stale", "missing"] = "missing"
        if snapshot is not None:
            state = "fresh" if snapshot.is_fresh(now) else "stale"
        return {
            "state": state,
            "as_of": None if snapshot is None else snapshot.as_of,
            "age_seconds": None if snapshot is None else snapshot.age(now),
            "problem": self.problem or None,
        }


def _sound(path: Path) -> Snapshot:
    """Raises ValueError or TypeError on a file that cannot be used."""
    if reason := _damage(path):
        raise ValueError(reason)
    return Snapshot(path)


def _meta(transaction: lmdb.Transaction) -> SnapshotMeta:
    content = transaction.get(META_KEY)
    if content is None:
        raise ValueError(f"it has no entry {META_KEY.decode()}, as one of another version has")
    return SnapshotMeta.unpacked(bytes(content))


def _damage(path: Path) -> str:
    """What is wrong with a snapshot; empty when nothing is. One without a checksum of its own is read by a child
    process, which takes longer."""
    stated = stated_checksum(path)
    if stated is not None:
        return "" if sha256(path) == stated else "it is not as it was published"
    command = [sys.executable, "-m", "serving.snapshot_check", os.fspath(path)]
    try:
        child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"reading it took over {CHECK_SECONDS} s"
    if child.returncode == 0:
        return ""
    return child.stderr.strip().rpartition("\n")[2] or f"reading it ended with {child.returncode}"
