"""Parquet: its own types, rows by number, and a broken file that is named."""

import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.importing import parquet_rows
from cli.importing.archive import SourceError
from cli.importing.parquet_rows import ParquetRows


@pytest.fixture
def file(tmp_path) -> Path:
    """Ten rows in row groups of four."""
    table = pa.table({"id": pa.array(range(10), pa.int64()), "tags": [[str(number)] for number in range(10)]})
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=4)
    return tmp_path / "log.parquet"


def test_columns_keep_their_types_and_rows_are_numbered_from_1(file):
    with file.open("rb") as stream:
        rows = ParquetRows(stream, "o")
        assert (rows.schema.names, rows.schema.field("id").type) == (["id", "tags"], pa.int64())
        (first, *_) = rows.batches(["tags", "id"])
    assert first.lines.to_pydict() == {
        "line_number": [1, 2, 3, 4],
        "tags": [["0"], ["1"], ["2"], ["3"]],
        "id": [0, 1, 2, 3],
    }
    assert (first.malformed, first.last_line) == ([], 4)


def test_rows_up_to_the_one_reached_before_are_passed_over(file, monkeypatch):
    monkeypatch.setattr(parquet_rows, "BATCH_ROWS", 3)
    with file.open("rb") as stream:
        found = list(ParquetRows(stream, "o").batches(["id"], after=5))
    assert [batch.lines["id"].to_pylist() for batch in found] == [[5, 6], [7], [8, 9]]
    assert [batch.lines["line_number"].to_pylist() for batch in found] == [[6, 7], [8], [9, 10]]


def test_no_column_may_be_asked_for(file):
    with file.open("rb") as stream:
        (first, *_) = ParquetRows(stream, "o").batches([])
    assert first.lines.to_pydict() == {"line_number": [1, 2, 3, 4]}


def test_a_stream_that_cannot_go_back_is_read_all_the_same(file):
    packed = gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(file.read_bytes())))
    found = ParquetRows(packed, "o").batches(["id"])
    assert [number for batch in found for number in batch.lines["id"].to_pylist()] == list(range(10))


@pytest.mark.parametrize("damage", ["cut", "no parquet", "empty"])
def test_a_broken_file_is_refused_by_name(file, damage):
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[:-20], "no parquet": b"a,b\n1,2\n" * 9, "empty": b""}[damage])
    with file.open("rb") as stream, pytest.raises(SourceError, match=r"^log/x: not a readable Parquet file: \S"):
        ParquetRows(stream, "log/x")


def test_a_file_that_is_broken_in_the_middle_is_refused_by_name(file):
    whole = bytearray(file.read_bytes())
    whole[4:60] = b"\xff" * 56
    file.write_bytes(whole)
    with file.open("rb") as stream, pytest.raises(SourceError, match=r"^log/x: not a readable Parquet file: \S"):
        list(ParquetRows(stream, "log/x").batches(["id"]))


def test_names_that_sql_takes_for_one_are_refused(tmp_path):
    pq.write_table(pa.table({"ad": [1], "Ad": [2]}), tmp_path / "a.parquet")
    with (tmp_path / "a.parquet").open("rb") as stream, pytest.raises(SourceError, match="two columns are called ad"):
        ParquetRows(stream, "o")
