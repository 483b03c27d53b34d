"""Where the time of a first `make run` goes: a fresh platform of its own is run, watched and stopped again.

`python -m bench.first_run [--quick]`; --quick starts and stops only, in the environment that is here already. The last
line of the output is one JSON object.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from cli.jars import ROOT
from cli.orphans import marked
from cli.timings import timings_path
from data_contracts.settings import load

PORTS = ("spark_port", "airflow_port", "mlflow_port", "serving_port")


@dataclass
class Memory:
    """The most that all programs of a platform held at once (PSS: what they share counts once), sampled each second."""

    home: Path
    peak_bytes: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Memory":
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(1):
            self.peak_bytes = max(self.peak_bytes, sum(map(_held, marked(self.home))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="no environment, start and stop only: under two minutes")
    quick = parser.parse_args().quick
    folder = Path(tempfile.mkdtemp(prefix="clicklake-bench-"))
    environ = {**os.environ, "CLICKLAKE_HOME": str(folder / "home"), "CLICKLAKE_CONF": str(overlay(folder))}
    settings = load(environ)
    try:
        environment = {} if quick else {"environment": environment_seconds(folder / "clone", environ)}
        with Memory(settings.home) as memory:
            seconds = {"start" if quick else "run": _command("start" if quick else "run", environ)}
            stages = json.loads(timings_path(settings).read_text())
    finally:
        stopped = _command("stop", environ)
        shutil.rmtree(folder, ignore_errors=True)
    _print({**environment, **stages, **seconds, "stop": stopped}, memory.peak_bytes)


def overlay(folder: Path) -> Path:
    """A configuration with ports that are free now."""
    path = folder / "conf.toml"
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    lines = [f"{key} = {probe.getsockname()[1]}\n" for key, probe in zip(PORTS, probes, strict=True)]
    for probe in probes:
        probe.close()
    path.write_text("[services]\n" + "".join(lines))
    return path


def environment_seconds(clone: Path, environ: Mapping[str, str]) -> float:
    """Seconds that `make install` takes in a copy of this tree at `clone`, which is deleted again."""
    copy_tracked(ROOT, clone)
    python = Path(sys.base_prefix) / "bin" / "python3.11"
    began = time.monotonic()
    subprocess.run([python, "-m", "cli.bootstrap"], cwd=clone, env=dict(environ), check=True)
    seconds = time.monotonic() - began
    shutil.rmtree(clone)
    return seconds


def copy_tracked(tree: Path, target: Path) -> None:
    """Copies what git tracks in `tree`, as it is there now, to `target`."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=tree, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (tree / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / name, target / name)


def _command(name: str, environ: Mapping[str, str]) -> float:
    """Seconds that `clicklake NAME` took; its output goes to ours, a failure ends the bench."""
    began = time.monotonic()
    subprocess.run([Path(sys.prefix) / "bin" / "clicklake", name], env=dict(environ), check=True)
    return time.monotonic() - began


def _held(program: psutil.Process) -> int:
    try:
        return int(program.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def _print(seconds: Mapping[str, float], peak_bytes: int) -> None:
    table = Table("stage", "seconds", title=f"first run on {os.cpu_count()} cores")
    is_whole = "environment" in seconds
    table.caption = "environment: with warm package caches" if is_whole else None
    for stage, taken in seconds.items():
        table.add_row(stage, f"{taken:.1f}")
    Console().print(table)
    print(
        json.dumps(
            {
                "bench": "first_run",
                "cores": os.cpu_count(),
                **({"package_caches": "warm"} if is_whole else {}),
                "peak_memory_mb": round(peak_bytes / 2**20),
                "seconds": {stage: round(taken, 2) for stage, taken in seconds.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
