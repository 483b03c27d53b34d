"""Staging: what is held and what is mapped, and a checksum that knows nothing of batches and files."""

import hashlib
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ml.staging import TrainingSet, WidthError, staged, staging_folder

ROWS = [
    ("impression-a", [0.5, 1.0], 0, 1_000_000),
    ("impression-b", [0.1, 2.0], 1, 1_500_000),
    ("impression-c", [0.3, 3.0], 0, 1_500_001),
]


Row = tuple[str, list[float], int, int]


def batches(rows: Sequence[Row], size: int, kind: pa.DataType) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(rows), size):
        ids, features, clicked, times = zip(*rows[start : start + size], strict=True)
        yield pa.RecordBatch.from_arrays(
            [ids, pa.array(features, pa.list_(kind)), pa.array(clicked, pa.int32()), pa.array(times, pa.int64())],
            ["impression_id", "features", "clicked", "epoch_us"],
        )


def staged_rows(folder: Path, rows: Sequence[Row] = ROWS, size: int = 2, kind: str = "float") -> TrainingSet:
    return staged(batches(rows, size, pa.type_for_alias(kind)), 2, folder)


def test_rows_are_what_was_given(tmp_path: Path) -> None:
    found = staged_rows(tmp_path)
    assert found.features.tolist() == np.array([row[1] for row in ROWS], dtype=np.float32).tolist()
    assert found.labels.tolist() == [0, 1, 0]
    assert found.timestamps.tolist() == [1.0, 1.5, 1.500001]
    assert found.hashes.tolist() == [zlib.crc32(row[0].encode()) for row in ROWS]
    assert (found.features.dtype, found.labels.dtype, found.hashes.dtype) == (np.float32, np.int8, np.uint32)


def test_features_are_mapped_from_a_file_that_has_no_name_and_cannot_be_written(tmp_path: Path) -> None:
    found = staged_rows(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not found.features.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        found.features[0, 0] = 1.0


def test_the_checksum_is_of_the_rows_not_of_batches_nor_of_the_type_they_are_kept_in(tmp_path: Path) -> None:
    checksums = [staged_rows(tmp_path, size=size).checksum for size in (1, 2, 3)]
    checksums.append(staged_rows(tmp_path, kind="double").checksum)
    assert len(set(checksums)) == 1


def test_the_checksum_is_sha_256_over_that_of_each_column(tmp_path: Path) -> None:
    columns = [
        b"impression-a\nimpression-b\nimpression-c\n",
        np.array([row[1] for row in ROWS], dtype="<f4").tobytes(),
        bytes([0, 1, 0]),
        np.array([row[3] for row in ROWS], dtype="<i8").tobytes(),
    ]
    expected = hashlib.sha256(b"".join(hashlib.sha256(column).digest() for column in columns)).hexdigest()
    assert staged_rows(tmp_path).checksum == expected


@pytest.mark.parametrize(
    "changed",
    [
        ("impression-B", [0.1, 2.0], 1, 1_500_000),
        ("impression-b", [0.1, 2.5], 1, 1_500_000),
        ("impression-b", [0.1, 2.0], 0, 1_500_000),
        ("impression-b", [0.1, 2.0], 1, 1_499_999),
    ],
)
def test_the_checksum_sees_any_change(tmp_path: Path, changed: Row) -> None:
    other = staged_rows(tmp_path, rows=[ROWS[0], changed, ROWS[2]])
    assert other.checksum != staged_rows(tmp_path).checksum


def test_rows_of_another_width_are_an_error_that_says_which(tmp_path: Path) -> None:
    with pytest.raises(WidthError) as raised:
        staged_rows(tmp_path, rows=[ROWS[0], ("impression-b", [0.1], 1, 2), ROWS[2]], size=3)
    assert raised.value.widths == {1, 2}


def test_no_rows_are_a_training_set_without_rows(tmp_path: Path) -> None:
    found = staged_rows(tmp_path, rows=[])
    assert (found.features.shape, len(found.labels), len(found.timestamps)) == ((0, 2), 0, 0)


def test_what_a_killed_training_left_is_gone_and_nothing_stays(tmp_path: Path) -> None:
    left = tmp_path / "staging"
    (left / "spilled").mkdir(parents=True)
    (left / "spilled" / "block.tmp").write_bytes(b"x")
    (left / "rows").write_bytes(b"x")
    with staging_folder(tmp_path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "block.tmp").write_bytes(b"x")
    assert list(left.iterdir()) == []


def test_two_that_stage_wait_for_each_other(tmp_path: Path) -> None:
    entered = threading.Event()

    def stage() -> None:
        with staging_folder(tmp_path):
            entered.set()

    other = threading.Thread(target=stage)
    with staging_folder(tmp_path):
        other.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    other.join()
