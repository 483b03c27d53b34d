"""Tables of a real Delta writer, torn by hand as a power cut tears them."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from spark_jobs.delta_log import added_files, versions
from spark_jobs.durability import (
    durable_version,
    is_whole_checkpoint,
    make_checkpoint_durable,
    make_durable,
    set_aside,
    set_aside_damaged,
)


def append(table: Path, *days: str) -> None:
    rows = pa.table({"id": list(range(len(days))), "date": list(days)})
    write_deltalake(str(table), rows, mode="append", partition_by=["date"])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Version 0 is durable; 1 and 2 are not yet."""
    append(tmp_path / "t", "2026-01-01")
    make_durable(tmp_path / "t")
    append(tmp_path / "t", "2026-01-02")
    append(tmp_path / "t", "2026-01-03")
    return tmp_path / "t"


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is synced from here on, in order."""
    names: list[str] = []
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return names


def commit(table: Path, version: int) -> Path:
    return table / "_delta_log" / f"{version:020}.json"


def data_file(table: Path, version: int) -> Path:
    (file,) = added_files(table, version)
    return file.path


def sums(path: Path) -> Path:
    return path.with_name(f".{path.name}.crc")


def summed(path: Path, content: bytes) -> None:
    """Writes a file and its checksums as Hadoop does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    parts = [content[start : start + 512] for start in range(0, len(content), 512)]
    checksums = b"".join(zlib.crc32(part).to_bytes(4) for part in parts)
    sums(path).write_bytes(b"crc\0" + (512).to_bytes(4) + checksums)


def test_all_that_later_commits_are_made_of_is_synced_before_the_version_is_noted(table, synced):
    for version in (1, 2):
        sums(data_file(table, version)).write_bytes(b"crc")
        sums(commit(table, version)).write_bytes(b"crc")
    made_of = [path for version in (1, 2) for path in (data_file(table, version), commit(table, version))]
    make_durable(table)
    assert durable_version(table) == 2
    noted = synced.index(f"durable_version.{os.getpid()}")
    folders = {"date=2026-01-02", "date=2026-01-03", "_delta_log", "t", table.parent.name}
    assert set(synced[:noted]) == {path.name for path in made_of} | {sums(path).name for path in made_of} | folders
    assert synced[noted + 1 :] == ["_delta_log"]


def test_what_is_durable_is_not_synced_again(table, synced):
    make_durable(table)
    synced.clear()
    make_durable(table)
    assert synced == []


@pytest.mark.parametrize(
    "tear",
    [
        lambda table: os.truncate(commit(table, 1), 0),
        lambda table: os.truncate(commit(table, 1), commit(table, 1).stat().st_size // 2),
        lambda table: commit(table, 1).write_bytes(bytes(commit(table, 1).stat().st_size)),
        lambda table: os.truncate(data_file(table, 1), 0),
        lambda table: os.truncate(data_file(table, 1), data_file(table, 1).stat().st_size // 2),
        lambda table: data_file(table, 1).write_bytes(bytes(data_file(table, 1).stat().st_size)),
        lambda table: data_file(table, 1).unlink(),
    ],
    ids=["no bytes", "half a commit", "a commit of zeros", "an empty file", "half a file", "zeros", "no file"],
)
def test_a_damaged_commit_and_all_after_it_are_set_aside(tear: Callable[[Path], object], table, tmp_path):
    tear(table)
    assert set_aside_damaged(table, tmp_path / "aside") == [1, 2]
    assert versions(table) == [0]
    assert sorted(path.name for path in (tmp_path / "aside").glob("*.json")) == [f"{1:020}.json", f"{2:020}.json"]
    assert DeltaTable(str(table)).to_pyarrow_table()["date"].to_pylist() == ["2026-01-01"]


def test_commits_that_survived_stay_without_checksums_that_may_be_torn(table, tmp_path):
    for path in (data_file(table, 0), data_file(table, 1), commit(table, 2)):
        sums(path).write_bytes(b"")
    assert set_aside_damaged(table, tmp_path / "aside") == []
    assert versions(table) == [0, 1, 2]
    assert [sums(path).exists() for path in (data_file(table, 0), data_file(table, 1), commit(table, 2))] == [
        True,
        False,
        False,
    ]


def test_what_was_durable_is_not_touched_whatever_has_become_of_it(table, tmp_path):
    make_durable(table)
    os.truncate(commit(table, 2), 0)
    assert set_aside_damaged(table, tmp_path / "aside") == []
    assert versions(table) == [0, 1, 2]


def test_a_checkpoint_of_the_log_that_is_torn_is_set_aside_and_its_commits_stay(table, tmp_path):
    DeltaTable(str(table)).create_checkpoint()
    (checkpoint,) = (table / "_delta_log").glob("*.checkpoint.parquet")
    os.truncate(checkpoint, 10)
    assert set_aside_damaged(table, tmp_path / "aside") == []
    assert [path.name for path in (tmp_path / "aside").iterdir()] == [checkpoint.name]
    assert not (table / "_delta_log" / "_last_checkpoint").exists()
    assert DeltaTable(str(table)).to_pyarrow_table().num_rows == 3


ENTRIES = {
    "metadata": b'{"id":"679a39d4"}',
    "offsets/0": b'v1\n{"batchWatermarkMs":0}\n{"logOffset":0}',
    "offsets/1": b'v1\n{"batchWatermarkMs":0}\n{"logOffset":1}',
    "sources/0/0": b'v1\n{"path":"file:///landing/1.jsonl","batchId":0}',
    "commits/0": b'v1\n{"nextBatchWatermarkMs":0}',
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Of a stream that was cut short in its second batch."""
    for name, content in ENTRIES.items():
        summed(tmp_path / "home" / "checkpoints" / "stream" / name, content)
    return tmp_path / "home" / "checkpoints" / "stream"


def test_a_checkpoint_is_whole_with_and_without_checksums_and_when_it_is_not_there(checkpoint, tmp_path):
    assert is_whole_checkpoint(checkpoint)
    for path in checkpoint.rglob(".*.crc"):
        path.unlink()
    assert is_whole_checkpoint(checkpoint)
    assert is_whole_checkpoint(tmp_path / "never")


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("end", [0, 10])
def test_a_checkpoint_with_a_torn_file_or_torn_checksums_is_not_whole(checkpoint, name, end):
    torn = checkpoint / name
    content = torn.read_bytes()
    os.truncate(torn, end)
    assert not is_whole_checkpoint(checkpoint)
    torn.write_bytes(content)
    assert is_whole_checkpoint(checkpoint)
    os.truncate(sums(torn), end)
    assert not is_whole_checkpoint(checkpoint)


@pytest.mark.parametrize("lost", ["metadata", "offsets/0"])
def test_a_checkpoint_that_lacks_what_the_rest_stands_on_is_not_whole(checkpoint, lost):
    (checkpoint / lost).unlink()
    assert not is_whole_checkpoint(checkpoint)


def test_a_checkpoint_is_durable_with_its_folders_and_their_parents(checkpoint, synced):
    make_checkpoint_durable(checkpoint)
    names = {Path(name).name for name in ENTRIES} | {f".{Path(name).name}.crc" for name in ENTRIES}
    assert set(synced) == names | {"offsets", "sources", "commits", "stream", "checkpoints", "home"}


def test_checkpoints_set_aside_lie_side_by_side(checkpoint, tmp_path):
    set_aside(checkpoint, tmp_path / "aside")
    checkpoint.mkdir()
    set_aside(checkpoint, tmp_path / "aside")
    assert sorted(path.name for path in (tmp_path / "aside").iterdir()) == ["stream-0", "stream-1"]
    assert not checkpoint.exists()
