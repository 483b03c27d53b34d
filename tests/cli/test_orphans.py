"""Programs found by their marker, and ended whatever they do about it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.orphans import end, marked, strays, sweep
from cli.services import MARKER

SLEEPS = "print('up', flush=True); import time; time.sleep(60)"
IGNORES_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPS
RENAMES_ITSELF = "import setproctitle; setproctitle.setproctitle('airflow worker ' * 20); " + SLEEPS

Started = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def started() -> Iterator[Started]:
    """Starts programs that are up when it returns, and leaves none behind."""
    programs: list[subprocess.Popen[bytes]] = []

    def start(code: str, **variables: str) -> "subprocess.Popen[bytes]":
        program = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, **variables}, stdout=subprocess.PIPE
        )
        programs.append(program)
        assert program.stdout
        program.stdout.readline()
        return program

    yield start
    for program in programs:
        program.kill()
        program.wait()
        assert program.stdout
        program.stdout.close()


def test_only_programs_of_this_home_are_found(started: Started, tmp_path: Path) -> None:
    ours = started(SLEEPS, **{MARKER: str(tmp_path)})
    started(SLEEPS, **{MARKER: str(tmp_path / "other")})
    started(SLEEPS, CLICKLAKE_HOME=str(tmp_path))  # a person's shell may hold that
    assert [program.pid for program in marked(tmp_path)] == [ours.pid]


def test_a_program_that_renames_itself_keeps_its_marker(started: Started, tmp_path: Path) -> None:
    renamed = started(RENAMES_ITSELF, SPT_NOENV="1", **{MARKER: str(tmp_path)})
    assert [program.pid for program in marked(tmp_path)] == [renamed.pid]


def test_one_that_does_not_end_when_asked_is_killed(started: Started, tmp_path: Path) -> None:
    stubborn = started(IGNORES_TERM, **{MARKER: str(tmp_path)})
    end(marked(tmp_path), patience_seconds=0.2)
    assert stubborn.wait(5) == -9


def test_sweep_leaves_nothing_and_says_how_much_there_was(started: Started, tmp_path: Path) -> None:
    first, second = started(SLEEPS, **{MARKER: str(tmp_path)}), started(SLEEPS, **{MARKER: str(tmp_path)})
    assert sweep(tmp_path) == 2
    assert (first.wait(5), second.wait(5)) == (-15, -15)
    assert sweep(tmp_path) == 0


def test_what_descends_from_the_supervisord_is_no_stray(started: Started, tmp_path: Path) -> None:
    parent = started(
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]).wait()",
        **{MARKER: str(tmp_path)},
    )
    stray = started(SLEEPS, **{MARKER: str(tmp_path)})
    assert len(marked(tmp_path)) == 3
    assert [program.pid for program in strays(tmp_path, parent.pid)] == [stray.pid]
    sweep(tmp_path)
