"""Landing segments under faults: kill -9, power cuts, full and failing disks lose nothing that was acknowledged."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_contracts import landing
from data_contracts.landing import DamagedLineError, LandingWriter, event_line, read_segment
from tests.data_contracts.click_segments import click, ids, segments


def child(code: str, *arguments: str, **kwargs) -> subprocess.Popen:
    """A Python process of its own that knows `writer`, on the landing folder that is its first argument."""
    head = """
import sys, time, os
from datetime import UTC, datetime
from pathlib import Path
from data_contracts.landing import Event, LandingWriter
def click(number): return Event("clicks", datetime(2019, 11, 30, 12, tzinfo=UTC), {"click_id": f"c{number}"})
writer = LandingWriter(Path(sys.argv[1]), "serving")
"""
    root = Path(landing.__file__).parent.parent
    command = [sys.executable, "-c", head + code, *arguments]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, **kwargs)


def test_processes_that_start_together_get_a_slot_each(tmp_path):
    code = "print(writer.producer, flush=True); sys.stdin.readline()"
    children = [child(code, str(tmp_path), stdin=subprocess.PIPE) for _ in range(3)]
    slots = [process.stdout.readline().strip() for process in children]
    for process in children:
        process.communicate("\n", timeout=30)
    assert sorted(slots) == ["serving-0", "serving-1", "serving-2"]


def test_what_append_returned_from_survives_kill_9(tmp_path):
    code = """
number = 0
while True:
    writer.append([click(number), click(number + 1)])
    number += 2
    print(number, flush=True)
"""
    for _ in range(3):
        with child(code, str(tmp_path)) as process:
            spoken = [process.stdout.readline() for _ in range(40)]
            process.send_signal(signal.SIGKILL)
            spoken += process.stdout.read().split()
        acknowledged = int(spoken[-1])
        folder = tmp_path / "serving-0"
        (abandoned,) = segments(folder, "open")
        LandingWriter(tmp_path, "serving").close()
        assert segments(folder, "open") == []
        found = ids(folder / abandoned.replace("open", "jsonl").zfill(26))
        assert found[:acknowledged] == [f"c{number}" for number in range(acknowledged)]
        assert len(found) - acknowledged in (0, 1, 2)


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(bytes(4096), id="zeros, as a file system may leave after a power cut"),
        pytest.param(b'{"table":"clicks","ori', id="a torn line"),
        pytest.param(event_line(click(9), "o:9")[:-1], id="a line without its newline"),
        pytest.param(b"\n", id="an empty line"),
    ],
)
def test_a_tail_that_is_no_whole_line_is_cut_and_the_segment_sealed(tmp_path, tail):
    folder = tmp_path / "serving-0"
    folder.mkdir()
    good = event_line(click(1), "o:1") + event_line(click(2), "o:2")
    (folder / "00000000000000000007.open").write_bytes(good + tail)
    writer = LandingWriter(tmp_path, "serving")
    assert (folder / "00000000000000000007.jsonl").read_bytes() == good
    writer.append([click(3)])
    writer.close()
    assert segments(folder) == ["7.jsonl", "8.jsonl"]


@pytest.mark.parametrize("content", [b"", b'{"table":', bytes(100)], ids=["nothing", "a torn line", "zeros"])
def test_an_abandoned_segment_without_a_whole_line_goes(tmp_path, content):
    folder = tmp_path / "serving-0"
    folder.mkdir()
    (folder / "00000000000000000001.open").write_bytes(content)
    LandingWriter(tmp_path, "serving").close()
    assert segments(folder, "*") == []


def test_recovery_keeps_whole_lines_after_a_damaged_one_for_the_load_to_report(tmp_path):
    folder = tmp_path / "serving-0"
    folder.mkdir()
    lines = [event_line(click(number), f"o:{number}") for number in (1, 2, 3)]
    lines[1] = lines[1].replace(b"c2", b"cX")
    (folder / "00000000000000000001.open").write_bytes(b"".join(lines) + b"torn")
    LandingWriter(tmp_path, "serving").close()
    sealed = folder / "00000000000000000001.jsonl"
    assert sealed.read_bytes() == b"".join(lines)
    with pytest.raises(DamagedLineError):
        ids(sealed)


def test_a_live_writers_segment_is_left_alone_by_one_that_starts(tmp_path):
    first = LandingWriter(tmp_path, "serving")
    first.append([click(1)])
    second = LandingWriter(tmp_path, "serving")
    first.append([click(2)])
    first.close()
    second.close()
    assert ids(tmp_path / "serving-0" / "00000000000000000001.jsonl") == ["c1", "c2"]


def test_a_full_disk_leaves_the_segment_at_its_last_good_line_and_later_appends_go_on(tmp_path):
    code = """
import resource
writer.append([click(1)])
size = os.path.getsize(next(Path(sys.argv[1]).glob("*/*.open")))
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, resource.RLIM_INFINITY))
try:
    writer.append([click(2), click(3)])
except OSError as error:
    print(error.strerror, os.path.getsize(next(Path(sys.argv[1]).glob("*/*.jsonl"))) == size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.append([click(4)])
writer.close()
"""
    spoken, _ = child(code, str(tmp_path)).communicate(timeout=30)
    assert spoken == "File too large True\n"
    folder = tmp_path / "serving-0"
    assert segments(folder) == ["1.jsonl", "2.jsonl"]
    assert ids(folder / "00000000000000000001.jsonl") == ["c1"]
    assert ids(folder / "00000000000000000002.jsonl") == ["c4"]


def test_after_a_failed_sync_the_segment_is_ended_and_the_next_append_goes_to_another(tmp_path, monkeypatch):
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1)])

    def failing(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output error"):
        patch.setattr(os, "fdatasync", failing)
        writer.append([click(2)])
    folder = tmp_path / "serving-0"
    assert (segments(folder, "open"), segments(folder)) == ([], ["1.jsonl"])
    writer.append([click(3)])
    writer.close()
    assert [ids(path) for path in sorted(folder.glob("*.jsonl"))] == [["c1"], ["c3"]]


def test_a_segment_whose_first_append_fails_leaves_nothing(tmp_path, monkeypatch):
    writer = LandingWriter(tmp_path, "serving")

    def failing(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output error"):
        patch.setattr(os, "fdatasync", failing)
        writer.append([click(1)])
    assert segments(tmp_path / "serving-0", "*") == []
    writer.append([click(2)])
    writer.close()
    assert segments(tmp_path / "serving-0") == ["2.jsonl"]


def test_an_append_that_is_on_disk_does_not_fail_because_its_full_segment_cannot_be_sealed(tmp_path, monkeypatch):
    writer = LandingWriter(tmp_path, "serving", limit_bytes=1)

    def failing(self: Path, target: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        writer.append([click(1)])
    writer.close()
    assert ids(tmp_path / "serving-0" / "00000000000000000001.jsonl") == ["c1"]


def test_a_segment_whose_folder_cannot_be_synced_is_not_written_to_with_an_old_size(tmp_path, monkeypatch):
    writer = LandingWriter(tmp_path, "serving")
    writer.append([click(1), click(2)])
    writer.seal()

    def failing(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output error"):
        patch.setattr(landing, "sync", failing)
        writer.append([click(3)])
    writer.append([click(4)])
    writer.close()
    LandingWriter(tmp_path, "serving").close()
    last = sorted((tmp_path / "serving-0").glob("*.jsonl"))[-1]
    assert [(line["row"]["click_id"], line["origin"].partition(":")[2]) for line in read_segment(last)] == [("c4", "1")]
