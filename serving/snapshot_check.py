"""Reads a whole snapshot in a process of its own: a damaged memory map kills its reader, and that must not be serving.

`python -m serving.snapshot_check FILE` exits 0 when every entry is as data_contracts.snapshot says.
"""

import math
import sys
from pathlib import Path

import lmdb

from data_contracts.keys import ALL
from data_contracts.snapshot import CATALOGS, META_KEY, SnapshotMeta, unpacked_attributes, unpacked_counts


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
    if kind in CATALOGS:
        unpacked_attributes(value)
        return
    names = meta.counts.get(kind)
    least = -math.inf if kind == ALL else 0  # sums of features stand there too
    if names is None or len(value) != 8 * len(names) or min(unpacked_counts(value), default=0) < least:
        raise ValueError("an entry does not match the snapshot's meta")


if __name__ == "__main__":
    try:
        checked(Path(sys.argv[1]))
    except (ValueError, TypeError, lmdb.Error) as error:
        sys.exit(str(error))
