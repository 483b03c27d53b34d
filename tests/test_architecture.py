"""The star is enforced: a planted import across it fails the check."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("data_contracts", "spark_jobs", "ml", "serving", "dags", "cli")


@pytest.fixture
def copy(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def lint_imports(folder):
    command = [str(Path(sys.prefix) / "bin" / "lint-imports"), "--no-cache"]
    environ = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_the_star_as_it_is_passes(copy):
    checked = lint_imports(copy)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("package", "imported", "broken"),
    [
        ("serving", "ml.metrics", "Stages never import each other"),
        ("data_contracts", "spark_jobs.counts", "data_contracts knows no stage"),
        ("data_contracts", "pandas", "data_contracts is standard library only"),
        ("ml", "cli.sql", "No stage knows the command line"),
    ],
)
def test_a_planted_import_across_it_fails_by_name(copy, package, imported, broken):
    (copy / package / "planted.py").write_text(f"import {imported}\n")
    checked = lint_imports(copy)
    assert checked.returncode == 1, checked.stdout
    assert f"{package}.planted -> {imported}" in checked.stdout
    assert re.search(rf"{broken}((?!KEPT).)*BROKEN", " ".join(checked.stdout.split()))
