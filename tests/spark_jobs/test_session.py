import subprocess
import sys
import time

import pytest

from spark_jobs.session import JobError, as_of_seconds, connect
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
