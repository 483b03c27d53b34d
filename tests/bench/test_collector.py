from pathlib import Path

from bench.collector import file_system, measured_rounds, spread
from bench.event_load import Load


def test_a_real_server_stores_what_is_counted(tmp_path):
    loads = [Load("impression", 1, 2), Load("click", 10, 2)]
    results = measured_rounds(tmp_path, loads, rounds=1, seconds=0.2)
    rows = sum(len(path.read_bytes().splitlines()) for path in (tmp_path / "home" / "landing").glob("*/*.jsonl"))
    assert list(results) == loads
    for (measured,) in results.values():
        assert measured.p50 <= measured.p99
        assert measured.events_a_second > 0
        assert measured.server_microseconds_an_event > 0
    assert rows > 0
    assert [path.name for path in (tmp_path / "home" / "landing").glob("*/*.open")] == []


def test_the_file_system_is_that_of_the_nearest_mount():
    assert file_system(Path("/proc/self")) == "proc"


def test_a_spread_is_the_median_and_the_range():
    assert spread([3.0, 1.0, 8.0], ".1f") == "3.0 (1.0 to 8.0)"
