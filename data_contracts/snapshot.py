"""The online snapshot of counts: how it is named, keyed and packed. LMDB itself is opened by whoever writes or reads.

snapshots/<as_of>.lmdb is one file; `current` is a symbolic link to the newest, swapped by rename. Its keys are
"<key columns>\\0<entity>", its values the entity's counts as little-endian 64-bit integers in the order that the entry
`meta` lists them by name.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_contracts.features import entity_name

META_KEY = b"meta"
LONGEST_KEY_BYTES = 511
"""What LMDB is built to take."""
CURRENT = "current"


@dataclass(frozen=True)
class SnapshotMeta:
    """What a snapshot holds: counts as of `as_of` (epoch seconds), the names by key tuple, and the totals of the
    longest window that the prior CTR is taken from."""

    as_of: int
    counts: Mapping[str, Sequence[str]]
    impressions: int
    clicks: int

    def packed(self) -> bytes:
        return json.dumps(
            {"as_of": self.as_of, "counts": self.counts, "impressions": self.impressions, "clicks": self.clicks}
        ).encode()

    @classmethod
    def unpacked(cls, content: bytes) -> "SnapshotMeta":
        """Raises ValueError or TypeError on content that is no snapshot's."""
        return cls(**json.loads(content))


def key_columns(keys: Iterable[str]) -> str:
    """Key columns as one text, as in count_tiles.keys."""
    return "|".join(keys)


def entity_key(keys: str, values: Iterable[str]) -> bytes:
    """LMDB key of one entity."""
    return stored_key(keys, entity_name(values))


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


def snapshot_file(snapshots: Path, as_of: int) -> Path:
    return snapshots / f"{as_of}.lmdb"


def make_current(snapshots: Path, file: Path) -> None:
    """Point `current` at `file` in one step; readers of the old one keep it until they close it."""
    link = snapshots / f".{CURRENT}.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(file.name)
    link.rename(snapshots / CURRENT)
