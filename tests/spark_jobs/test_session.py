import subprocess
import sys
import time
from threading import Barrier

import pytest

from spark_jobs.session import JobError, as_of_seconds, connect, side_by_side
from tests.spark_jobs.conftest import NOON


def test_without_a_server_a_job_says_so_at_once(settings):
    started = time.monotonic()
    with pytest.raises(JobError, match=r"no Spark Connect server at sc://127.0.0.1:25002 .*`make run` starts it"):
        connect(settings)
    assert time.monotonic() - started < 30  # the client itself would try for minutes


def test_tiles_and_snapshots_are_as_of_full_hours():
    assert as_of_seconds(NOON) == 1_768_046_400
    with pytest.raises(JobError, match=r"2026-01-10T12:30:00.*not a full hour"):
        as_of_seconds(NOON.replace(minute=30))


def test_an_as_of_without_its_zone_is_refused_by_name():
    job = [sys.executable, "-m", "spark_jobs.count_events", "--as-of", "2026-01-10T12:00:00"]
    found = subprocess.run(job, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "'2026-01-10T12:00:00' has no time zone" in found.stderr


def test_work_side_by_side_is_done_at_once_and_told_in_order():
    together = Barrier(3, timeout=20)  # breaks unless all three are under way at the same time

    def squared(number):
        together.wait()
        return number * number

    assert side_by_side(squared, [3, 1, 2]) == [9, 1, 4]
    assert side_by_side(squared, []) == []


def test_what_fails_side_by_side_is_told_once_the_others_have_ended():
    ended = []

    def work(seconds):
        time.sleep(seconds)
        if not seconds:
            raise ValueError("the first")
        ended.append(seconds)

    with pytest.raises(ValueError, match="the first"):
        side_by_side(work, [0, 0.2])
    assert ended == [0.2]
