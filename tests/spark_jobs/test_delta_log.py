"""A log written by a real Delta writer, and lines written out where an engine's own words matter."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from spark_jobs.delta_log import newest_version, touched_partitions


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Version 0 holds two days, version 1 adds to the second, version 2 adds a third."""
    for days in (["2026-01-01", "2026-01-02"], ["2026-01-02"], ["2026-01-03"]):
        rows = pa.table({"id": list(range(len(days))), "date": days})
        write_deltalake(str(tmp_path / "t"), rows, mode="append", partition_by=["date"])
    return tmp_path / "t"


def test_only_the_partitions_of_later_commits_are_touched(table):
    assert newest_version(table) == 2
    assert touched_partitions(table, 0, 2) == [{"date": "2026-01-02"}, {"date": "2026-01-03"}]
    assert touched_partitions(table, 0, 1) == [{"date": "2026-01-02"}]
    assert touched_partitions(table, 2, 2) == []


def test_a_delete_touches_its_partition(table):
    DeltaTable(str(table)).delete("date = '2026-01-01'")
    assert touched_partitions(table, 2, 3) == [{"date": "2026-01-01"}]


def test_moving_rows_between_files_touches_nothing(table):
    DeltaTable(str(table)).optimize.compact()
    assert newest_version(table) == 3
    assert touched_partitions(table, 2, 3) == []


def test_a_commit_that_is_gone_leaves_it_unknown(table):
    (table / "_delta_log" / f"{1:020}.json").unlink()
    assert touched_partitions(table, 0, 2) is None
    assert touched_partitions(table, 1, 2) == [{"date": "2026-01-03"}]


def test_a_table_without_partitions_is_touched_as_a_whole_and_a_null_partition_is_one(tmp_path):
    log = tmp_path / "_delta_log"
    log.mkdir()
    whole = {"add": {"path": "a", "partitionValues": {}, "dataChange": True}}
    null = {"remove": {"path": "b", "partitionValues": {"date": None}, "dataChange": True}}
    (log / f"{0:020}.json").write_text("\n".join(map(json.dumps, ({"commitInfo": {}}, whole, null))))
    assert touched_partitions(tmp_path, -1, 0) == [{}, {"date": None}]


def test_a_folder_without_a_commit_has_no_version(tmp_path):
    with pytest.raises(ValueError, match="has no commit"):
        newest_version(tmp_path)
