"""Landing segments: what is appended comes back, sealed by size or time, each writer in a slot of its own."""

import os
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts import landing
from data_contracts.landing import (
    DamagedLineError,
    DatedRows,
    EncodedRows,
    Event,
    LandingWriter,
    event_line,
    instant_text,
    read_segment,
)
from tests.data_contracts.click_segments import NOON, click, ids, segments


@given(cut=st.integers(1, 10_000))
def test_a_cut_segment_gives_its_whole_lines_and_then_an_error_or_its_end(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("segment") / "1.jsonl"
    lines = [event_line(click(number), f"o:{number}") for number in (1, 2, 3)]
    content = b"".join(lines)
    path.write_bytes(content[: cut % len(content)])
    ends = [0, len(lines[0]), len(lines[0]) + len(lines[1])]
    found, reading = [], read_segment(path)
    whole = sum(cut % len(content) >= len(b"".join(lines[:count])) for count in (1, 2, 3))
    for _ in range(whole):
        found.append(next(reading)["row"]["click_id"])
    assert found == ["c1", "c2", "c3"][:whole]
    if cut % len(content) in ends:
        assert list(reading) == []
    else:
        with pytest.raises(DamagedLineError):
            next(reading)


def test_a_segment_is_open_until_it_is_sealed(tmp_path):
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1), click(2)])
    folder = tmp_path / "serving-0"
    assert (segments(folder, "open"), segments(folder)) == (["1.open"], [])
    writer.append([click(3)])
    writer.seal()
    assert (segments(folder, "open"), segments(folder)) == ([], ["1.jsonl"])
    assert ids(folder / "00000000000000000001.jsonl") == ["c1", "c2", "c3"]
    writer.seal()
    writer.append([click(4)])
    writer.close()
    assert segments(folder) == ["1.jsonl", "2.jsonl"]
    assert ids(folder / "00000000000000000002.jsonl") == ["c4"]


def test_an_event_without_an_origin_gets_segment_and_line(tmp_path):
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1), Event("clicks", NOON, {}, "log.csv:7")])
    writer.append([click(2)])
    writer.close()
    sealed = tmp_path / "serving-0" / "00000000000000000001.jsonl"
    assert [line["origin"] for line in read_segment(sealed)] == [
        "serving-0/00000000000000000001.jsonl:1",
        "log.csv:7",
        "serving-0/00000000000000000001.jsonl:3",
    ]


def test_rows_that_are_encoded_already_are_written_as_events_are(tmp_path):
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1)])
    later = datetime(2019, 11, 30, 12, 0, 0, 5, tzinfo=UTC)
    batches = [
        EncodedRows("clicks", NOON, [b'{"click_id":"c2"}', b'{"click_id":"c3"}']),
        EncodedRows("ads", later, [b"{}"]),
        DatedRows("ads", [instant_text(at).encode() for at in (later, NOON)], [b"{}", b"{}"]),
    ]
    writer.append_rows(batches)
    writer.append([click(7)])
    writer.close()
    folder = tmp_path / "serving-0"
    origin = "serving-0/00000000000000000001.jsonl"
    expected = [
        click(1),
        click(2),
        click(3),
        Event("ads", later, {}),
        Event("ads", later, {}),
        Event("ads", NOON, {}),
        click(7),
    ]
    lines = [event_line(event, f"{origin}:{number}") for number, event in enumerate(expected, 1)]
    assert (folder / "00000000000000000001.jsonl").read_bytes() == b"".join(lines)


def test_a_segment_that_reached_its_size_is_sealed(tmp_path):
    line = len(event_line(click(1), "serving-0/00000000000000000001.jsonl:1"))
    writer = LandingWriter(tmp_path, "serving", limit_bytes=2 * line)
    for number in range(1, 6):
        writer.append([click(number)])
    folder = tmp_path / "serving-0"
    assert (segments(folder), segments(folder, "open")) == (["1.jsonl", "2.jsonl"], ["3.open"])
    assert ids(folder / "00000000000000000002.jsonl") == ["c3", "c4"]
    writer.close()


def test_a_segment_is_sealed_when_it_is_old_enough_and_not_before(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(landing.time, "monotonic", lambda: clock[0])
    writer = LandingWriter(tmp_path, "serving", limit_seconds=10.0)
    writer.seal_when_due()
    writer.append([click(1)])
    clock[0] = 109.9
    writer.append([click(2)])
    writer.seal_when_due()
    assert segments(tmp_path / "serving-0") == []
    clock[0] = 110.0
    writer.seal_when_due()
    assert segments(tmp_path / "serving-0") == ["1.jsonl"]
    writer.close()


def test_appending_nothing_makes_no_segment(tmp_path):
    writer = LandingWriter(tmp_path, "serving")
    writer.append([])
    writer.close()
    assert [path.name for path in (tmp_path / "serving-0").iterdir()] == [".lock"]


def test_an_append_with_an_event_that_cannot_be_written_writes_none_of_them(tmp_path):
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1)])
    with pytest.raises(ValueError, match="not JSON compliant"):
        writer.append([click(2), Event("ads", NOON, {"x": float("nan")})])
    writer.append([click(3)])
    writer.close()
    assert ids(tmp_path / "serving-0" / "00000000000000000001.jsonl") == ["c1", "c3"]


def test_numbers_go_on_after_a_restart(tmp_path):
    for number in (1, 2):
        writer = LandingWriter(tmp_path, "serving")
        writer.append([click(number)])
        writer.close()
    assert segments(tmp_path / "serving-0") == ["1.jsonl", "2.jsonl"]


def test_numbers_go_on_after_the_newest_sealed_segment_when_older_ones_are_deleted(tmp_path):
    for number in (1, 2, 3):
        writer = LandingWriter(tmp_path, "serving")
        writer.append([click(number)])
        writer.close()
    folder = tmp_path / "serving-0"
    for number in (1, 2):
        (folder / f"{number:020d}.jsonl").unlink()
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(4)])
    writer.close()
    assert segments(folder) == ["3.jsonl", "4.jsonl"]


def test_threads_that_append_together_lose_and_mix_nothing(tmp_path):
    writer = LandingWriter(tmp_path, "serving", limit_bytes=5_000)

    def append_fifty(start: int) -> None:
        for number in range(start, start + 50):
            writer.append([click(number)])

    threads = [threading.Thread(target=append_fifty, args=(start,)) for start in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    found = [identity for path in sorted((tmp_path / "serving-0").glob("*.jsonl")) for identity in ids(path)]
    assert sorted(found) == sorted(f"c{start + number}" for start in (0, 100, 200, 300) for number in range(50))
    origins = [line["origin"] for path in (tmp_path / "serving-0").glob("*.jsonl") for line in read_segment(path)]
    assert len(set(origins)) == 200


def test_append_returns_when_all_of_it_is_written_and_synced(tmp_path, monkeypatch):
    sizes = []
    fdatasync = os.fdatasync

    def seen(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", seen)
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1), click(2)])
    (segment,) = (tmp_path / "serving-0").glob("*.open")
    assert sizes == [segment.stat().st_size]
    writer.close()


def test_a_write_that_stops_short_is_gone_on_with(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:7]))
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1), click(2)])
    writer.close()
    assert ids(tmp_path / "serving-0" / "00000000000000000001.jsonl") == ["c1", "c2"]


def test_two_writers_that_live_at_once_never_share_a_slot_and_a_free_one_is_taken_again(tmp_path):
    first, second = LandingWriter(tmp_path, "serving"), LandingWriter(tmp_path, "serving")
    other = LandingWriter(tmp_path, "import")
    assert [writer.producer for writer in (first, second, other)] == ["serving-0", "serving-1", "import-0"]
    first.close()
    third = LandingWriter(tmp_path, "serving")
    assert third.producer == "serving-0"
    for writer in (second, other, third):
        writer.close()
