"""Landing segments that cannot be cut back or sealed at once: what was acknowledged is sealed later."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data_contracts import landing
from data_contracts.landing import LandingWriter
from tests.data_contracts.click_segments import click, ids, segments


@contextmanager
def disk_that_tears(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A write is cut short, and so may not be cut back."""
    write = os.write

    def torn(descriptor: int, content: bytes) -> int:
        write(descriptor, content[:20])
        raise OSError(28, "No space left on device")

    def failing(descriptor: int, size: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", torn)
        patch.setattr(os, "ftruncate", failing)
        yield


def test_when_even_cutting_back_fails_the_segment_is_given_up(tmp_path, monkeypatch):
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1)])
    with disk_that_tears(monkeypatch), pytest.raises(OSError, match="No space left"):
        writer.append([click(2)])
    writer.append([click(3)])
    writer.close()
    folder = tmp_path / "serving-0"
    LandingWriter(tmp_path, "serving").close()
    assert [ids(path) for path in sorted(folder.glob("*.jsonl"))] == [["c1"], ["c3"]]


def test_a_segment_that_could_not_be_cut_back_isrecovered_when_the_next_is_looked_at(tmp_path, monkeypatch):
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1)])
    with disk_that_tears(monkeypatch), pytest.raises(OSError, match="No space left"):
        writer.append([click(2)])
    assert segments(tmp_path / "serving-0") == []
    writer.seal_when_due()
    assert ids(tmp_path / "serving-0" / "00000000000000000001.jsonl") == ["c1"]
    writer.close()


def test_a_segment_that_could_not_be_sealed_is_sealed_when_it_can_be(tmp_path, monkeypatch):
    writer = LandingWriter(tmp_path, "serving", limit_seconds=0.0)
    writer.append([click(1)])

    def failing(self: Path, target: Path) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        for _ in range(2):
            with pytest.raises(OSError, match="Read-only file system"):
                writer.seal_when_due()
    writer.append([click(2)])
    folder = tmp_path / "serving-0"
    assert (segments(folder), segments(folder, "open")) == ([], ["1.open", "2.open"])
    writer.seal_when_due()
    assert (segments(folder), segments(folder, "open")) == (["1.jsonl", "2.jsonl"], [])
    assert [ids(path) for path in sorted(folder.glob("*.jsonl"))] == [["c1"], ["c2"]]
    writer.close()


def test_a_segment_whose_sealing_could_not_be_synced_is_synced_later(tmp_path, monkeypatch):
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1)])

    def failing(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output error"):
        patch.setattr(landing, "sync", failing)
        writer.seal()
    synced = []
    monkeypatch.setattr(landing, "sync", synced.append)
    writer.seal_when_due()
    writer.seal_when_due()
    assert synced == [tmp_path / "serving-0"]
    assert ids(tmp_path / "serving-0" / "00000000000000000001.jsonl") == ["c1"]
    writer.close()
