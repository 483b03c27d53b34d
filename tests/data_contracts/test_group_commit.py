"""One thread that writes for all: what is told as stored is on disk, what waits is bounded, failures are told."""

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_contracts.group_commit import GroupCommit, QueueFullError
from data_contracts.landing import EncodedRows, LandingWriter, read_segment

NOON = datetime(2019, 11, 30, 12, tzinfo=UTC)
ROW = b'{"click_id":"%d"}'
SIZE = EncodedRows("clicks", NOON, [ROW % 1]).size_bytes


def clicks(*numbers: int) -> list[EncodedRows]:
    return [EncodedRows("clicks", NOON, [ROW % number for number in numbers])]


def ids(landing: Path) -> list[str]:
    segments = sorted([*landing.glob("*/*.jsonl"), *landing.glob("*/*.open")])
    return [line["row"]["click_id"] for segment in segments for line in read_segment(segment)]


class Told:
    """What was told, in order."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[list[str], Exception | None]] = queue.SimpleQueue()

    def __call__(self, tickets: Sequence[str], error: Exception | None) -> None:
        self._queue.put((list(tickets), error))

    def next(self) -> tuple[list[str], Exception | None]:
        return self._queue.get(timeout=20)


@contextmanager
def started(
    landing: Path,
    told: Callable[..., None],
    limit_bytes: int = 1 << 20,
    opened: Callable[[], LandingWriter] | None = None,
) -> Iterator[GroupCommit[str]]:
    commit = GroupCommit[str](opened or (lambda: LandingWriter(landing, "serving")), told, limit_bytes, 0.05)
    commit.start()
    try:
        yield commit
    finally:
        commit.stop(20)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """A sync that says when it was begun, and ends when it is let."""
    begun, let = threading.Event(), threading.Event()
    fdatasync = os.fdatasync

    def slow(descriptor: int) -> None:
        begun.set()
        assert let.wait(20)
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    yield begun, let
    let.set()


def test_what_is_told_as_stored_is_on_disk(tmp_path):
    told = Told()
    with started(tmp_path, told) as commit:
        commit.submit(clicks(1, 2), "a")
        assert told.next() == (["a"], None)
        assert ids(tmp_path) == ["1", "2"]
        assert commit.problem == ""


def test_nothing_is_told_before_its_sync_and_what_came_meanwhile_shares_the_next(tmp_path, slow_disk):
    begun, let = slow_disk
    told = Told()
    with started(tmp_path, told) as commit:
        commit.submit(clicks(1), "a")
        assert begun.wait(20)
        commit.submit(clicks(2), "b")
        commit.submit(clicks(3, 4), "c")
        assert told._queue.empty()
        let.set()
        assert told.next() == (["a"], None)
        assert told.next() == (["b", "c"], None)
    assert ids(tmp_path) == ["1", "2", "3", "4"]


def test_what_would_wait_past_the_limit_is_refused_and_later_taken(tmp_path, slow_disk):
    begun, let = slow_disk
    told = Told()
    with started(tmp_path, told, limit_bytes=2 * SIZE) as commit:
        commit.submit(clicks(1), "a")
        assert begun.wait(20)
        commit.submit(clicks(2), "b")
        with pytest.raises(QueueFullError, match=f"over {2 * SIZE} bytes wait for the disk already"):
            commit.submit(clicks(3), "c")
        let.set()
        assert [told.next(), told.next()] == [(["a"], None), (["b"], None)]
        commit.submit(clicks(4), "d")
        assert told.next() == (["d"], None)
    assert ids(tmp_path) == ["1", "2", "4"]


def test_what_comes_alone_may_be_larger_than_the_limit(tmp_path):
    told = Told()
    with started(tmp_path, told, limit_bytes=1) as commit:
        commit.submit(clicks(1, 2, 3), "a")
        assert told.next() == (["a"], None)


def test_a_failed_write_is_told_to_its_group_and_the_next_goes_on(tmp_path, monkeypatch):
    told = Told()

    def failing(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with started(tmp_path, told) as commit:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", failing)
            commit.submit(clicks(1), "a")
            tickets, error = told.next()
            assert (tickets, str(error), commit.problem) == (["a"], "[Errno 5] Input/output error", str(error))
        commit.submit(clicks(2), "b")
        assert (told.next(), commit.problem) == ((["b"], None), "")
    assert ids(tmp_path) == ["2"]


def test_where_landing_cannot_be_opened_it_is_tried_with_each_group(tmp_path):
    told, landing = Told(), tmp_path / "landing"
    landing.write_text("in the way")
    with started(landing, told) as commit:
        commit.submit(clicks(1), "a")
        tickets, error = told.next()
        assert (tickets, type(error)) == (["a"], NotADirectoryError)
        landing.unlink()
        commit.submit(clicks(2), "b")
        assert told.next() == (["b"], None)
    assert ids(landing) == ["2"]


def test_an_error_nobody_thought_of_is_told_and_does_not_end_the_thread(tmp_path):
    told = Told()
    with started(tmp_path, told) as commit:
        commit.submit([EncodedRows("clicks", NOON, ["text"])], "a")  # type: ignore[list-item]
        tickets, error = told.next()
        assert (tickets, type(error)) == (["a"], TypeError)
        commit.submit(clicks(2), "b")
        assert told.next() == (["b"], None)
    assert ids(tmp_path) == ["2"]


def test_stopping_writes_what_waits_and_seals(tmp_path):
    told = Told()
    with started(tmp_path, told) as commit:
        for number in range(50):
            commit.submit(clicks(number), str(number))
    assert [path.name for path in tmp_path.glob("*/0*")] == ["00000000000000000001.jsonl"]
    assert ids(tmp_path) == [str(number) for number in range(50)]
