"""Stages a training set out of core: its rows as they pass, in order of time, into one file that memory maps.

Only labels, times and hashes are held in memory, 13 bytes a row. The features are read from the disk as they are needed
and the system drops them again when memory is short.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.metrics import Floats, Labels

Hashes = NDArray[np.uint32]
COLUMNS = ("impression_id", "features", "clicked", "epoch_us")


class WidthError(ValueError):
    """Rows of another number of features than asked for; `widths` says which."""

    def __init__(self, widths: set[int]) -> None:
        super().__init__(f"rows of {sorted(widths)} features")
        self.widths = widths


@dataclass(frozen=True)
class TrainingSet:
    """Rows in order of time, then of impression id: features (rows, features; mapped from a file without a name, which
    is gone with them), labels, times (epoch seconds), hashes (CRC-32 of the impression id).

    `checksum` is the SHA-256 of all of them and of the impression ids, whatever files the lake keeps them in.
    """

    features: NDArray[np.float32]
    labels: Labels
    timestamps: Floats
    hashes: Hashes
    checksum: str


def staged(batches: Iterable[pa.RecordBatch], width: int, folder: Path) -> TrainingSet:
    """The training set of `batches` of COLUMNS, in their order, with its features in a file in `folder`.

    Features may be lists of FLOAT or of DOUBLE. Raises WidthError when a row has other than `width` of them.
    """
    digests = {name: hashlib.sha256() for name in COLUMNS}
    parts: dict[str, list[NDArray[Any]]] = {"clicked": [], "epoch_us": [], "hash": []}
    with tempfile.TemporaryFile(dir=folder) as file:
        for batch in batches:
            features = _matrix(batch.column("features"), width)
            ids = [impression_id.encode() for impression_id in batch.column("impression_id").to_pylist()]
            columns = {
                "clicked": batch.column("clicked").to_numpy().astype(np.int8),
                "epoch_us": batch.column("epoch_us").to_numpy().astype(np.int64),
                "hash": np.fromiter(map(zlib.crc32, ids), np.uint32, len(ids)),
            }
            file.write(features.data)
            digests["impression_id"].update(b"".join(b"%s\n" % each for each in ids))
            digests["features"].update(features.data)
            for name, values in columns.items():
                parts[name].append(values)
                if name in digests:
                    digests[name].update(values)
        file.flush()
        held = {name: np.concatenate(values) for name, values in parts.items() if values}
        return TrainingSet(
            _mapped(file, width),
            held.get("clicked", np.empty(0, np.int8)),
            held.get("epoch_us", np.empty(0, np.int64)) / 1e6,
            held.get("hash", np.empty(0, np.uint32)),
            hashlib.sha256(b"".join(digest.digest() for digest in digests.values())).hexdigest(),
        )


@contextlib.contextmanager
def staging_folder(home: Path) -> Iterator[Path]:
    """home/staging, empty and for this block alone: whoever else stages waits meanwhile, and what a killed one left is
    removed first."""
    folder = home / "staging"
    folder.mkdir(exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        _empty(folder)
        yield folder
        _empty(folder)
    finally:
        os.close(held)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _matrix(lists: pa.Array, width: int) -> NDArray[np.float32]:
    widths = set(pc.list_value_length(lists).unique().to_pylist())
    if widths - {width}:
        raise WidthError(widths)
    values = lists.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(values.reshape(-1, width), dtype=np.float32)


def _mapped(file: Any, width: int) -> NDArray[np.float32]:
    if not file.tell():
        return np.empty((0, width), dtype=np.float32)
    return np.asarray(np.memmap(file, np.float32, "r").reshape(-1, width))
