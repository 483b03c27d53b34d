"""Jobs killed at their steps, twice each, and the Spark server with them: run again, they come to the same tables."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bench.spark_server import ended, started
from data_contracts.lake import open_lake
from data_contracts.landing import Event, LandingWriter
from data_contracts.settings import Settings, load
from spark_jobs.steps import HELD, HOLD
from tests.conftest import QUICK_JVM, free_port
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
ROOT = Path(__file__).resolve().parents[2]
JAVA = {"JAVA_TOOL_OPTIONS": QUICK_JVM}
PATIENCE_SECONDS = 300
WHILE_WRITING = "while writing"
STEPS = (
    ("load_events", "load_events.plan"),
    ("load_events", WHILE_WRITING),
    ("load_events", "load_events.committed"),
    ("refine_events", "refine_events.plan"),
    ("refine_events", WHILE_WRITING),
    ("refine_events", "refine_events.committed"),
    ("refine_events", "refine_events.durable"),
)
ALL = [(*step, victim) for step in STEPS for victim in ("client", "server")]
SAMPLE = [ALL[number] for number in (5, 6)]
TABLES = {
    "raw_events": "segment, origin, content_hash",
    "ad_impressions": "impression_id, content_hash, origin",
    "clicks": "click_id, content_hash, origin",
    "rejected_events": "content_hash, reason, origin",
}


@dataclass
class Platform:
    """A Spark server of its own, and a home beside it: its jobs and the server may be killed."""

    server_settings: Settings
    overlay: Path
    server: subprocess.Popen[bytes]
    settings: Settings

    def move_to(self, home: Path) -> None:
        self.settings = load({"CLICKLAKE_HOME": str(home), "CLICKLAKE_CONF": str(self.overlay)})

    @contextmanager
    def job(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """A started job, which is gone when this ends; its words are in <home>/job.log."""
        command = [sys.executable, "-m", f"spark_jobs.{name}", "--as-of", NOON.isoformat()]
        environ = {**os.environ, "CLICKLAKE_HOME": str(self.settings.home), "CLICKLAKE_CONF": str(self.overlay)}
        with self.log.open("w") as log:
            job = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
        try:
            yield job
        finally:
            job.kill()
            job.wait()

    @property
    def log(self) -> Path:
        return self.settings.home / "job.log"

    def done(self, name: str) -> None:
        with self.job(name) as job:
            try:
                job.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                pytest.fail(f"{name} does not end:\n{self.words()}")
            assert job.returncode == 0, self.words()

    def words(self) -> str:
        """What the job said, and the end of what its server did."""
        return self.log.read_text() + (self.server_settings.home / "spark.log").read_text()[-4000:]

    def kill_server(self) -> None:
        ended(self.server)
        self.server = started(self.server_settings, JAVA)

    def tables(self) -> dict[str, list[tuple]]:
        with open_lake(self.settings) as lake:
            return {
                name: lake.execute(f"SELECT {columns} FROM {name} ORDER BY ALL").fetchall()
                for name, columns in TABLES.items()
            }


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("killed")
    overlay = folder / "conf.toml"
    overlay.write_text(f"[services]\nspark_port = {free_port()}\n")
    settings = load({"CLICKLAKE_HOME": str(folder), "CLICKLAKE_CONF": str(overlay)})
    platform = Platform(settings, overlay, started(settings, JAVA), settings)
    try:
        yield platform
    finally:
        ended(platform.server)


JOBS = ("load_events", "refine_events")


@pytest.fixture
def home(platform: Platform, tmp_path: Path) -> Platform:
    return moved(platform, tmp_path / "home")


def moved(platform: Platform, home: Path) -> Platform:
    """The platform with a home whose landing holds new, repeated, conflicting and broken events in two segments."""
    platform.move_to(home)
    writer = LandingWriter(platform.settings.landing, "test")
    for number in range(60):
        writer.append(told(number))
        if number == 30:
            writer.seal()
    writer.close()
    return platform


def told(number: int) -> list[Event]:
    at = NOON + timedelta(minutes=number)
    return [
        Event("ad_impressions", at, impression(number), f"a.csv:{number}"),
        Event("ad_impressions", at - timedelta(days=1), impression(number // 2, ad_id="ad-9"), f"b.csv:{number}"),
        Event("clicks", at, click(number, clicked="maybe" if number % 7 == 0 else True), f"c.csv:{number}"),
    ]


@pytest.fixture(scope="module")
def unharmed(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple]]:
    """The tables of a run that nobody kills."""
    whole = moved(platform, tmp_path_factory.mktemp("unharmed"))
    for job in JOBS:
        whole.done(job)
    return whole.tables()


@contextmanager
def held(platform: Platform, step: str) -> Iterator[None]:
    """Whoever comes to `step` stays there until this ends."""
    home = platform.settings.home
    (home / HELD).unlink(missing_ok=True)
    (home / HOLD).write_text(step)
    try:
        yield
    finally:
        (home / HOLD).unlink()


def kill(platform: Platform, job_name: str, step: str, victim: str) -> None:
    """Start the job and kill it, or its server and it, at the step."""
    before = set(platform.settings.lake.rglob("*.parquet"))

    def is_there() -> bool:
        if step == WHILE_WRITING:
            return bool(set(platform.settings.lake.rglob("*.parquet")) - before)
        return (platform.settings.home / HELD).exists()

    with held(platform, step), platform.job(job_name) as job:
        wait_until(is_there, job, platform.log)
        if victim == "server":
            os.killpg(platform.server.pid, signal.SIGKILL)
        job.kill()
    if victim == "server":
        platform.kill_server()


def wait_until(is_true: Callable[[], bool], job: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        if job.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the job did not come to its step:\n{log.read_text()}")
        time.sleep(0.005)


def survived(platform: Platform, job: str, step: str, victim: str) -> dict[str, list[tuple]]:
    """The tables after all jobs, of which one was killed twice at a step."""
    for name in JOBS:
        if name == job:
            for _ in range(2):
                kill(platform, name, step, victim)
        platform.done(name)
    return platform.tables()


@pytest.mark.parametrize(("job", "step", "victim"), SAMPLE)
def test_a_job_killed_twice_at_a_step_comes_to_the_same_tables(unharmed, home, job, step, victim):
    assert survived(home, job, step, victim) == unharmed


@pytest.mark.soak
@pytest.mark.parametrize(("job", "step", "victim"), ALL)
def test_a_job_killed_twice_at_any_step_comes_to_the_same_tables(unharmed, home, job, step, victim):
    assert survived(home, job, step, victim) == unharmed
