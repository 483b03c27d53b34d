"""The command itself, run as a person runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from cli.main import main; main()"]


class Shell:
    """Runs `clicklake ...` with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.home, self.overlay = folder / "home", folder / "conf.toml"

    def __call__(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environ = {**os.environ, "CLICKLAKE_HOME": str(self.home)}
        if self.overlay.exists():
            environ["CLICKLAKE_CONF"] = str(self.overlay)
        return subprocess.run([*COMMAND, *words], env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def clicklake(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_help_names_every_command(clicklake: Shell) -> None:
    shown = clicklake("--help").stdout
    for name in ("start", "run", "stop", "status", "sql", "spark-sql", "import", "replay", "docs"):
        assert f" {name} " in shown


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'pyspark', 'mlflow', 'airflow', 'duckdb', 'httpx', 'psutil', 'pandas'}"
    code = f"import sys, cli.main; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_unknown_key_is_one_line_with_file_and_key_and_exit_code_2(clicklake: Shell) -> None:
    clicklake.overlay.write_text("[services]\nsparkport = 1\n")
    for command in ("status", "start", "stop", "run"):
        ended = clicklake(command)
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"clicklake: {clicklake.overlay}: unknown key services.sparkport; known here: ")
        assert ended.stderr.count("\n") == 1
    assert not clicklake.home.exists()


def test_status_of_nothing_is_stopped_and_exit_code_1(clicklake: Shell) -> None:
    ended = clicklake("status")
    assert ended.returncode == 1
    assert [line.split()[:3] for line in ended.stdout.splitlines()[1:3]] == [
        ["spark", "stopped", "not"],
        ["mlflow", "stopped", "not"],
    ]


def test_stopping_nothing_is_no_failure(clicklake: Shell) -> None:
    for _ in range(2):
        ended = clicklake("stop")
        assert (ended.returncode, ended.stdout) == (0, "nothing was running\n")


def test_a_wrong_statement_is_one_line_on_stderr(clicklake: Shell) -> None:
    ended = clicklake("sql", "-c", "FROM nowhere")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("clicklake: Catalog Error: Table with name nowhere does not exist!")
    assert ended.stderr.count("\n") == 1


def test_a_source_that_does_not_exist_is_one_line(clicklake: Shell) -> None:
    ended = clicklake("import", "conf/imports/obd.toml", "/nowhere.tar.gz")
    assert ended.returncode == 2
    assert ended.stderr.startswith("clicklake: /nowhere.tar.gz: ")
    assert ended.stderr.count("\n") == 1


def test_a_log_is_imported_again_only_when_that_is_asked_for(clicklake: Shell, tmp_path: Path) -> None:
    mapping, log = tmp_path / "log.toml", tmp_path / "log.csv"
    columns = {"impression_id": "id", "user_id": "'someone'", "ad_id": "ad", "timestamp": "at"}
    lines = "".join(f'{name} = "{made_from}"\n' for name, made_from in columns.items())
    mapping.write_text(f"[[ad_impressions]]\nmembers = 'log\\.csv'\n[ad_impressions.columns]\n{lines}")
    log.write_text("id,at,ad\ni-1,2019-11-30T10:00:00Z,men-1\n")
    said = [clicklake("import", *options, str(mapping), str(log)).stdout for options in ([], [], ["--again"])]
    assert [text.splitlines()[0] for text in said] == [
        "ad_impressions: 1 rows",
        "log.csv was imported before: nothing to do",
        "ad_impressions: 1 rows",
    ]
    checked = clicklake("import", "--check", str(mapping), str(log), str(mapping)).stdout
    assert checked.splitlines()[-1] == "nothing was written; user_id is shown under a key made for this check"
    told = " ".join(clicklake("import", "--help").stdout.replace("│", " ").split())
    assert "Import even if it was imported before; the tables end the same." in told
