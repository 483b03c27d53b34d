"""The examples of docs/queries.md are run as they stand there, on a small lake."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.sql import duckdb_engine
from data_contracts.settings import Settings, load
from tests.cli.small_lake import write_lake

PAGE = (Path(__file__).parents[2] / "docs" / "queries.md").read_text()


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def home(settings: Settings) -> Settings:
    """As a person's shell has it: the variable names the home."""
    write_lake(settings)
    return load({"CLICKLAKE_HOME": str(settings.home)})


@pytest.mark.parametrize("command", examples("sh"))
def test_a_command_of_the_page_runs(home: Settings, command: str) -> None:
    """Its time travel goes to before this lake: that is refused in the words that the page promises."""
    environ = os.environ | {
        "CLICKLAKE_HOME": str(home.home),
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}",
    }
    shell = f'clicklake() {{ "{sys.executable}" -c "from cli.main import main; main()" "$@"; }}; {command}'
    ended = subprocess.run(["bash", "-c", shell], env=environ, capture_output=True, text=True, check=False)
    if "--at" in command:
        assert "there was no table yet" in ended.stderr
    else:
        assert (ended.returncode, ended.stderr) == (0, "")
        assert len(ended.stdout.splitlines()) > 1


@pytest.mark.parametrize("statement", examples("sql"))
def test_a_question_of_the_page_is_answered(home: Settings, statement: str) -> None:
    with duckdb_engine(home)(statement, None) as result:
        result.read_all()


def test_the_first_question_counts_what_the_lake_holds(home: Settings) -> None:
    with duckdb_engine(home)(examples("sql")[0], None) as result:
        (row,) = result.read_all().to_pylist()
    assert (row["impressions"], row["clicks"], row["ctr"]) == (2, 1, 0.5)


@pytest.mark.parametrize("code", examples("python"))
def test_the_python_of_the_page_runs(home: Settings, code: str) -> None:
    environ = os.environ | {"CLICKLAKE_HOME": str(home.home)}
    ended = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
