"""Reads a whole snapshot in a process of its own: a damaged memory map kills its reader, and that must not be serving.

`python -m serving.snapshot_check FILE` exits 0 when every entry is as data_contracts.snapshot says.
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import lmdb

from data_contracts.keys import ALL
from data_contracts.known_users import is_of_user, unpacked_user
from data_contracts.snapshot import A_USER, AD, META_KEY, SnapshotMeta, unpacked_attributes, unpacked_counts


def checked(path: Path) -> SnapshotMeta:
    """The snapshot's meta entry, once every entry was read; raises ValueError, TypeError or lmdb.Error."""
    environment = lmdb.open(str(path), subdir=False, readonly=True, lock=False)
    with environment.begin() as transaction:
        content = transaction.get(META_KEY)
        if content is None:
            raise ValueError(f"{path} has no entry {META_KEY.decode()}")
        meta = SnapshotMeta.unpacked(content)
        _check_meta(meta)
        for key, value in transaction.cursor():
            if key != META_KEY:
                _check_entry(meta, key, value)
    return meta


def _check_meta(meta: SnapshotMeta) -> None:
    numbers = (meta.as_of, meta.impressions, meta.clicks)
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or not isinstance(meta.counts, dict):
        raise ValueError("the entry meta does not hold as_of, impressions, clicks and counts")


def _check_entry(meta: SnapshotMeta, key: bytes, value: bytes) -> None:
    kind = key.partition(b"\0")[0].decode()
    if kind == AD:
        unpacked_attributes(value)
    elif kind == A_USER:
        of_tuples = unpacked_user(value).counts
        of_users = [names for text, names in meta.counts.items() if is_of_user(text)]
        for names, own in zip(of_users, of_tuples, strict=True):
            for counts in own.values():
                _check_counts(names, counts, 0)
    else:
        _check_counts(meta.counts.get(kind), value, -math.inf if kind == ALL else 0)  # sums of features stand there too


def _check_counts(names: Sequence[str] | None, packed: bytes, least: float) -> None:
    if names is None or len(packed) != 8 * len(names) or min(unpacked_counts(packed), default=0) < least:
        raise ValueError("an entry does not match the snapshot's meta")


if __name__ == "__main__":
    try:
        checked(Path(sys.argv[1]))
    except (ValueError, TypeError, lmdb.Error) as error:
        sys.exit(str(error))
