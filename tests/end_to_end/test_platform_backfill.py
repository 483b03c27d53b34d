"""Days that were ingested are ingested again by Airflow's own backfill."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.airflow import Airflow
from data_contracts import lake
from tests.end_to_end.conftest import ROOT, Platform

pytestmark = pytest.mark.end_to_end
DAG = "/api/v2/dags/ingest_events"


NEVER, NIGHTLY = "0 0 1 1 *", "0 0 * * *"


def test_a_backfill_over_days_changes_no_row_and_sets_no_label_back(platform):
    def rows() -> list[tuple]:
        tables = ("ad_impressions", "clicks", "ads", "users", "rejected_events")
        asked = " UNION ALL ".join(f"SELECT sum(hash({table}))::VARCHAR FROM {table}" for table in tables)
        return lake.open_lake(platform.settings).sql(asked).fetchall()

    def labelled_until() -> datetime:
        ((newest,),) = lake.open_lake(platform.settings).sql("SELECT max(as_of) FROM labels").fetchall()
        return newest

    before, end = rows(), labelled_until()
    days = [(end - timedelta(days=ago)).date().isoformat() for ago in (4, 3)]
    with Airflow(platform.settings) as airflow, scheduled(platform, airflow):
        backfill(platform, *days)
        for day in days:
            run = f"backfill__{day}T00:00:00+00:00"
            wait_until(lambda run=run: airflow.run_state("ingest_events", run) == "success")
            caused = wait_until(lambda run=run: airflow.run_caused_by("ingest_events", run, "build_features"))
            wait_until(lambda caused=caused: airflow.run_state("build_features", caused) == "success")
    assert rows() == before
    assert labelled_until() >= end


@contextlib.contextmanager
def scheduled(platform: Platform, airflow: Airflow) -> Iterator[None]:
    """ingest_events runs at a schedule that has times to run for."""
    overlay = Path(platform.environ["CLICKLAKE_CONF"])
    plain = overlay.read_text()
    try:
        overlay.write_text(plain.replace(f'[ingest]\nschedule = "{NEVER}"', f'[ingest]\nschedule = "{NIGHTLY}"'))
        parsed_again(airflow, NIGHTLY)
        yield
    finally:
        overlay.write_text(plain)
        parsed_again(airflow, NEVER)


def parsed_again(airflow: Airflow, schedule: str) -> None:
    """At once, not when Airflow next looks at the DAG."""
    asked = airflow._answer("PUT", f"/api/v2/parseDagFile/{airflow._call('GET', DAG)['file_token']}", {})
    assert asked.is_success, asked.text
    wait_until(lambda: airflow._call("GET", DAG)["timetable_summary"] == schedule)


def backfill(platform: Platform, first: str, last: str) -> None:
    """By the command that docs/operations.md shows, which it says may find the database locked."""
    command = re.search(r"airflow (backfill create .*)", (ROOT / "docs" / "operations.md").read_text())
    words = command[1].replace("2026-03-01", first).replace("2026-03-07", last).split()
    environ = platform.environ | {"AIRFLOW_HOME": str(platform.settings.home / "airflow")}

    def is_made() -> bool:
        run = [str(Path(sys.prefix) / "bin" / "airflow"), *words]
        done = subprocess.run(run, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "database is locked" in done.stderr, done.stderr
        return done.returncode == 0

    wait_until(is_made)


def wait_until(is_so: Callable[[], Any], seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := is_so()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.5)
    return answer
