"""The bench's own platform, and the copy of the tree whose environment is timed."""

import subprocess
from pathlib import Path

from bench.first_run import copy_tracked, overlay
from data_contracts.settings import load


def test_the_bench_runs_on_ports_of_its_own(tmp_path: Path) -> None:
    services = load({"CLICKLAKE_CONF": str(overlay(tmp_path))}).services
    ports = {services.spark_port, services.airflow_port, services.mlflow_port, services.serving_port}
    assert len(ports) == 4
    assert not ports & {15002, 8080, 5000, 8000}


def test_the_environment_is_made_from_what_git_tracks_as_it_is_now(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "cli").mkdir(parents=True)
    for name in ("Makefile", "cli/jars.py", "gone.py", "built.so"):
        (tree / name).write_text("first")
    for command in (["init", "--quiet"], ["add", "Makefile", "cli", "gone.py"]):
        subprocess.run(["git", *command], cwd=tree, check=True)
    (tree / "gone.py").unlink()
    (tree / "cli" / "jars.py").write_text("second")
    copy_tracked(tree, tmp_path / "copy")
    copied = {path.name: path.read_text() for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert copied == {"Makefile": "first", "jars.py": "second"}
