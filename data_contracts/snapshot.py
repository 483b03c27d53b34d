"""The online snapshot of counts: as of when one was there to be seen, how it is named, keyed and packed.

LMDB itself is opened by whoever writes or reads.

snapshots/<as_of>.lmdb is one file; `current` is a symbolic link to the newest, swapped by rename. Its keys are
"<keys>\\0<entity>", its values the entity's counts as little-endian 64-bit integers in the order that the entry
META_KEY lists them by name; behind the counts of all stand sums of features, whose names end in their feature set's
hash. Under "ad\\0<ad_id>" is what is known of an ad, JSON text by key. A user is one entry, "user\\0<user_id>": what
the user declared, and the counts of all key tuples that begin with the user (data_contracts.known_users).
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from data_contracts.disk import replace_whole
from data_contracts.keys import entity_name
from data_contracts.labels import HOUR

SNAPSHOT_CADENCE = HOUR
"""Snapshots are as of full hours, and training takes it that one was made each hour."""
PUBLISH_DELAY = 15 * 60
"""How long after its as_of a snapshot is surely in serving's hands."""
META_KEY = b"meta/2"
"""Another one for each format."""
LONGEST_KEY_BYTES = 511
"""What LMDB is built to take."""
CURRENT = "current"
AD, A_USER = "ad", "user"
"""Under which names it holds what is known of ads and users."""


@dataclass(frozen=True)
class SnapshotMeta:
    """What a snapshot holds: counts as of `as_of` (epoch seconds), the names by key tuple, and what the prior CTR is
    taken from: the totals of all ads over a window, and the names of an ad's own impressions and clicks over it (none
    where ads are not counted)."""

    as_of: int
    counts: Mapping[str, Sequence[str]]
    impressions: int
    clicks: int
    prior: Sequence[str] = ()

    def packed(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpacked(cls, content: bytes) -> "SnapshotMeta":
        """Raises ValueError or TypeError on content that is no snapshot's."""
        return cls(**json.loads(content))


def snapshot_time(event_time: float) -> int:
    """as_of of the newest snapshot that serving could have held at `event_time`, publishing delay included."""
    return int((event_time - PUBLISH_DELAY) // SNAPSHOT_CADENCE * SNAPSHOT_CADENCE)


def entity_key(keys: str, values: Iterable[str | None]) -> bytes | None:
    """LMDB key of one entity; None where there is none (data_contracts.keys.entity_name)."""
    entity = entity_name(values)
    return None if entity is None else stored_key(keys, entity)


def stored_key(keys: str, entity: str) -> bytes:
    """LMDB key of one entity by its name; the end of one too long for LMDB is replaced by its hash."""
    key = f"{keys}\0{entity}".encode()
    if len(key) <= LONGEST_KEY_BYTES:
        return key
    digest = hashlib.sha256(key).hexdigest().encode()
    return key[: LONGEST_KEY_BYTES - len(digest)] + digest


def packed_counts(counts: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(counts)}q", *counts)


def unpacked_counts(content: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(content) // 8}q", content)


def packed_attributes(attributes: Mapping[str, str]) -> bytes:
    """What is known of an ad or a user, by key (`ad.topic`)."""
    return json.dumps(attributes, sort_keys=True, separators=(",", ":")).encode()


def unpacked_attributes(content: bytes) -> dict[str, str]:
    """Raises ValueError or TypeError on content that is no attributes."""
    found = json.loads(content)
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("attributes are no object of texts")
    return found


def snapshot_file(snapshots: Path, as_of: int) -> Path:
    return snapshots / f"{as_of}.lmdb"


def sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def checksum_file(file: Path) -> Path:
    """Where the SHA-256 of a snapshot is stated, with the size and time of change of the file that it is of."""
    return file.with_name(f"{file.name}.sha256")


def state_checksum(building: Path, file: Path) -> None:
    """For `building`, which is to become `file`."""
    state = building.stat()
    replace_whole(checksum_file(file), f"{state.st_size} {state.st_mtime_ns} {sha256(building)}\n")


def stated_checksum(file: Path) -> str | None:
    """The SHA-256 that was stated of this very file; None where none was."""
    try:
        size, changed, digest = checksum_file(file).read_text().split()
    except (OSError, ValueError):
        return None
    state = file.stat()
    return digest if (size, changed) == (str(state.st_size), str(state.st_mtime_ns)) else None


def make_current(snapshots: Path, file: Path) -> None:
    """Point `current` at `file` in one step; readers of the old one keep it until they close it."""
    link = snapshots / f".{CURRENT}.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(file.name)
    link.rename(snapshots / CURRENT)
