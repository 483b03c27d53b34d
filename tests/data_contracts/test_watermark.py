"""Segments that are still open, by whom, and with rows from when."""

from datetime import UTC, datetime, timedelta

import pytest

from data_contracts.landing import Event, LandingWriter
from data_contracts.watermark import open_before
from tests.data_contracts.click_segments import click, ids

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def received(at):
    return Event("clicks", at, {"click_id": f"at {at:%H:%M}"})


@pytest.fixture
def writer(tmp_path):
    writing = LandingWriter(tmp_path, "serving")
    yield writing
    writing.close()


def test_a_segment_that_is_written_is_waited_for_when_it_began_before(tmp_path, writer):
    writer.append([received(NOON - timedelta(minutes=1)), received(NOON)])
    assert [path.parent.name for path in open_before(tmp_path, NOON)] == ["serving-0"]
    assert open_before(tmp_path, NOON - timedelta(minutes=1)) == []
    writer.seal()
    assert open_before(tmp_path, NOON) == []


def test_rows_from_later_on_are_not_waited_for(tmp_path, writer):
    writer.append([received(NOON)])
    assert open_before(tmp_path, NOON) == []


def test_what_a_dead_process_left_open_is_sealed(tmp_path, writer):
    writer.append([click(1)])
    sealed = tmp_path / "dead-0" / "00000000000000000001.jsonl"
    sealed.parent.mkdir()
    (segment,) = (tmp_path / "serving-0").glob("*.open")
    sealed.with_suffix(".open").write_bytes(segment.read_bytes() + b"half a li")
    assert [path.parent.name for path in open_before(tmp_path, datetime.max.replace(tzinfo=UTC))] == ["serving-0"]
    assert ids(sealed) == ["c1"]
    assert not sealed.with_suffix(".open").exists()


def test_a_first_row_that_is_not_whole_yet_is_waited_for(tmp_path, writer):
    writer.append([received(NOON)])
    (segment,) = (tmp_path / "serving-0").glob("*.open")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-10])
    assert open_before(tmp_path, NOON) == [segment]
    segment.write_bytes(b"")
    assert open_before(tmp_path, NOON) == []
    segment.write_bytes(whole)
