"""DuckDB over the lake, as a person meets it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cli.errors import CommandError
from cli.jars import ROOT
from cli.report import CTR_BY_VARIANT
from cli.sql import duckdb_engine
from data_contracts.lake import open_lake
from data_contracts.sections import parsed_instant
from data_contracts.settings import Settings
from tests.cli.small_lake import write_lake

PATIENCE = 60


@pytest.fixture
def rows(settings: Settings) -> Callable[[str], list[dict]]:
    def answered(statement: str) -> list[dict]:
        with duckdb_engine(settings)(statement, None) as result:
            return result.read_all().to_pylist()

    return answered


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELEC 1", 'Parser Error: syntax error at or near "SELEC" (line 1)'),
        ("SELECT clickd FROM clicks", 'Binder Error: Referenced column "clickd" not found in FROM clause!'),
        ("FROM clickz", 'Catalog Error: Table with name clickz does not exist! Did you mean "clicks'),
        ("FROM settings", "Catalog Error: Table with name settings does not exist!"),
        ("SELECT 1; SELECT 2", "one statement at a time, not 2"),
        (" ", "no statement"),
    ],
)
def test_an_error_is_one_line(rows: Callable[[str], list[dict]], statement: str, said: str) -> None:
    with pytest.raises(CommandError) as raised:
        rows(statement)
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


def test_an_error_that_shows_while_rows_are_read_is_one_line(settings: Settings) -> None:
    statement = "SELECT CAST(CASE WHEN range = 99999 THEN 'x' ELSE '1' END AS INT) AS number FROM range(100000)"
    with (
        pytest.raises(CommandError, match="Could not convert string 'x'"),
        duckdb_engine(settings)(statement, None) as r,
    ):
        r.read_all()


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("COPY (SELECT 1 AS a) TO '{file}'", "COPY"),
        ("EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '{file}'", "COPY"),
        ("/* so */ -- it is\n EXPLAIN (ANALYZE) COPY (SELECT 1 AS a) TO '{file}'", "COPY"),
        ("EXPORT DATABASE '{file}'", "EXPORT"),
        ("ATTACH '{file}' AS other", "ATTACH"),
        ("INSERT INTO columns VALUES ('a', 'b', 'c', 'd')", "INSERT"),
        ("DROP VIEW clicks", "DROP"),
        ("SET enable_external_access = true", "SET"),
    ],
)
def test_a_statement_that_would_write_is_refused(rows, tmp_path, statement: str, word: str) -> None:
    file = tmp_path / "written"
    with pytest.raises(CommandError, match=rf"^{word}: this command only reads"):
        rows(statement.format(file=file))
    assert not file.exists()


@pytest.mark.parametrize(
    "statement",
    ["SHOW TABLES", "DESCRIBE clicks", "EXPLAIN SELECT 1", "EXPLAIN ANALYZE FROM clicks", "FROM clicks", "VALUES (1)"],
)
def test_what_reads_is_answered(rows, statement: str) -> None:
    rows(statement)


def test_a_table_that_is_written_meanwhile_is_there_at_the_next_statement(settings: Settings, rows) -> None:
    assert rows("SELECT count(*) AS n FROM clicks") == [{"n": 0}]
    write_lake(settings)
    assert rows("SELECT count(*) AS n FROM clicks") == [{"n": 4}]


def test_an_instant_before_the_lake_is_one_line(settings: Settings) -> None:
    write_lake(settings)
    engine = duckdb_engine(settings, parsed_instant("2019-11-30T12:00:00Z"))
    with (
        pytest.raises(CommandError, match=r"^at 2019-11-30T12:00:00.000Z there was no table yet"),
        engine("FROM ads", 1),
    ):
        pass


def test_the_query_that_a_run_ends_with_reads_an_empty_lake(rows) -> None:
    assert rows(CTR_BY_VARIANT) == []


def test_ctrl_c_that_is_lost_while_the_lake_is_opened_ends_the_statement_all_the_same(
    rows: Callable[[str], list[dict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB takes it for a module that cannot be imported."""

    def opened(*arguments):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        return open_lake(*arguments)

    monkeypatch.setattr("cli.sql.open_lake", opened)
    with pytest.raises(KeyboardInterrupt):
        rows("SELECT sum(a.range * b.range) FROM range(100000) a, range(100000) b")


@pytest.fixture
def command(settings: Settings) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """`clicklake sql -c` as a program of its own."""
    programs: list[subprocess.Popen[str]] = []

    def begun(statement: str) -> "subprocess.Popen[str]":
        arguments = [str(Path(sys.executable).with_name("clicklake")), "sql", "-c", statement]
        environ, pipe = {**os.environ, "CLICKLAKE_HOME": str(settings.home)}, subprocess.PIPE
        programs.append(subprocess.Popen(arguments, cwd=ROOT, env=environ, stdout=pipe, stderr=pipe, text=True))
        return programs[-1]

    yield begun
    for program in programs:
        program.kill()
        program.communicate()


def test_a_program_that_shows_the_first_rows_of_many_ends_well(command) -> None:
    """Nothing reads on when the interpreter ends: it did, and aborted every other program."""
    wide = ", ".join(f"repeat(range::VARCHAR, 20) AS column_{number}" for number in range(8))
    for _ in range(4):
        program = command(f"SELECT {wide} FROM range(400000)")
        shown, problems = program.communicate(timeout=PATIENCE)
        assert (program.returncode, problems) == (0, "")
        assert "the first 100 rows" in shown


@pytest.mark.parametrize("cpu_seconds", [1.0, 1.2, 1.4, 1.6, 2.5])
def test_ctrl_c_ends_a_program_whenever_it_comes(command, cpu_seconds: float) -> None:
    """While it opens the lake, as it begins to compute, or amidst."""
    program = command("SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3")
    used = psutil.Process(program.pid)
    deadline = time.monotonic() + PATIENCE
    while used.cpu_times().user < cpu_seconds and time.monotonic() < deadline:
        time.sleep(0.01)
    program.send_signal(signal.SIGINT)
    _, problems = program.communicate(timeout=PATIENCE)
    assert program.returncode == 130
    assert "Traceback" not in problems
