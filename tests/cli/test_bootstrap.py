"""The installation: what it checks first, and when it takes itself for done."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli import bootstrap
from cli.jars import ROOT

LOCK = """\
typer==0.1 \\
    --hash=sha256:aa
    # via x
uv==0.13.9 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via -r requirements.in
uvicorn==0.5 \\
    --hash=sha256:dd
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the installation reads of the repository, without an environment."""
    for name in ("cli", "conf", "data_contracts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.lock", "setup.cfg", "Makefile"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_uv_is_installed_by_the_locks_own_version_and_hashes() -> None:
    assert bootstrap.locked("uv", LOCK) == "uv==0.13.9 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"


def test_without_java_nothing_is_begun(clone: Path) -> None:
    command = [sys.executable, "-m", "cli.bootstrap"]
    ended = subprocess.run(command, cwd=clone, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("clicklake: Java 17 or newer is needed, and no java is on PATH")
    assert ended.stderr.count("\n") == 1
    assert not (clone / ".venv").exists()


def test_a_target_that_needs_the_environment_says_how_to_get_it(clone: Path) -> None:
    ended = subprocess.run(
        ["make", "--no-print-directory", "status"], cwd=clone, capture_output=True, text=True, check=False
    )
    assert "clicklake: not installed; run `make install`" in ended.stderr


def test_an_installation_that_was_cut_short_is_not_taken_for_a_finished_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = tmp_path / "clicklake.installed"
    monkeypatch.setattr(bootstrap, "STAMP", stamp)
    assert not bootstrap.is_installed()
    stamp.write_text(bootstrap.AT_WORK)
    assert not bootstrap.is_installed()
    stamp.write_text(bootstrap.wanted())
    assert bootstrap.is_installed()


def test_another_lock_is_another_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bootstrap.wanted()
    changed = tmp_path / "requirements.lock"
    changed.write_text(bootstrap.LOCK.read_text() + "one-more==1.0\n")
    monkeypatch.setattr(bootstrap, "LOCK", changed)
    assert bootstrap.wanted() != before


def test_make_help_lists_every_target() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = [line.split()[1] for line in shown.splitlines()]
    assert listed == ["help", "install", "run", "stop", "status", "sql", "check", "test", "soak", "lock"]
