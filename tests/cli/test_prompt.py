"""One statement or a prompt, typed by a person in a terminal or coming through a pipe."""

import contextlib
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from cli.errors import CommandError
from cli.prompt import Engine, query
from cli.sql import duckdb_engine
from data_contracts.settings import Settings

COMMAND = [sys.executable, "-c", "from cli.main import main; main()"]


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return duckdb_engine(settings)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=120, highlight=False)


def shown(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_statements_of_a_pipe_may_have_many_lines_and_end_at_an_error(engine, console, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(
        "sys.stdin", io.StringIO("SELECT\n'one'\nAS first;\nSELECT 2 AS second\n\nNONSENSE;\nSELECT 3;")
    )
    with pytest.raises(CommandError, match="Parser Error"):
        query(engine, None, "table", None, tmp_path / "history", console)
    assert shown(console) == ["first", "one", "second", "     2"]
    assert not (tmp_path / "history").exists()


def test_the_last_statement_of_a_pipe_needs_no_end(engine, console, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 1 AS only"))
    query(engine, None, "table", None, tmp_path / "history", console)
    assert shown(console) == ["only", "   1"]


class Terminal:
    """`clicklake sql` in a terminal of its own."""

    def __init__(self, settings: Settings) -> None:
        self.leader, follower = pty.openpty()
        environ = os.environ | {"CLICKLAKE_HOME": str(settings.home), "TERM": "dumb", "COLUMNS": "80"}
        self.program = subprocess.Popen(
            [*COMMAND, "sql"], env=environ, stdin=follower, stdout=follower, stderr=follower, start_new_session=True
        )
        os.close(follower)

    def read_until(self, end: str) -> str:
        """What the program writes up to `end`; fails when nothing comes for a minute."""
        said = ""
        while end not in said:
            assert select.select([self.leader], [], [], 60)[0], f"nothing after {said!r}"
            try:
                said += os.read(self.leader, 65536).decode()
            except OSError:  # it has ended
                break
        return said

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())


@pytest.fixture
def terminal(settings: Settings):
    opened = Terminal(settings)
    try:
        yield opened
    finally:
        with contextlib.suppress(ProcessLookupError):
            opened.program.kill()
        opened.program.wait()
        os.close(opened.leader)


def test_the_prompt_of_a_person_goes_on_after_an_error_and_remembers(terminal: Terminal, settings: Settings) -> None:
    assert "Ctrl-D leaves" in terminal.read_until("clicklake> ")
    terminal.type("NONSENSE;\n")
    assert "Parser Error" in terminal.read_until("clicklake> ")
    terminal.type("SELECT\n")
    terminal.read_until("-> ")
    terminal.type("40 + 2 AS answer;\n")
    assert "42" in terminal.read_until("clicklake> ")
    terminal.type("\x04")
    terminal.read_until("no such text")
    assert terminal.program.wait(30) == 0
    assert (settings.home / "sql_history").read_text().splitlines()[-1] == "40 + 2 AS answer;"


def await_cpu_seconds(pid: int, seconds: float) -> None:
    """Waits until the program has computed for so long since now: it is within its statement."""
    program = psutil.Process(pid)
    begun = program.cpu_times().user
    while program.cpu_times().user < begun + seconds:
        time.sleep(0.1)


def test_ctrl_c_ends_the_statement_and_not_the_prompt(terminal: Terminal) -> None:
    terminal.read_until("clicklake> ")
    terminal.type("SELECT sum(a.range * b.range) AS s FROM range(10000000) a, range(10000000) b;\n")
    terminal.read_until("\n")
    await_cpu_seconds(terminal.program.pid, 2)
    terminal.program.send_signal(signal.SIGINT)
    terminal.read_until("interrupted")
    terminal.type("SELECT 40 + 2 AS answer;\n")
    assert "42" in terminal.read_until("42")


def test_a_file_holds_the_whole_result_or_is_not_there(engine, console, tmp_path: Path) -> None:
    wanted = {"csv": "n\n7\n", "json": '{"n":7}\n', "table": "n\n7\n"}
    for form, written in wanted.items():
        query(engine, "SELECT 7 AS n", form, tmp_path / "result", tmp_path / "history", console)
        assert (tmp_path / "result").read_text() == written
    query(engine, "SELECT 7 AS n", "parquet", tmp_path / "result", tmp_path / "history", console)
    assert pq.read_table(tmp_path / "result").to_pylist() == [{"n": 7}]
    broken = "SELECT CAST(CASE WHEN range = 99999 THEN 'x' ELSE '1' END AS INT) AS number FROM range(100000)"
    with pytest.raises(CommandError):
        query(engine, broken, "csv", tmp_path / "other", tmp_path / "history", console)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["result"]


def test_a_link_is_written_through_and_not_replaced(engine, console, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    query(engine, "SELECT 7 AS n", "csv", tmp_path / "link", tmp_path / "history", console)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "n\n7\n"


def test_a_folder_that_does_not_exist_is_one_line(engine, console, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no/result: No such file or directory"):
        query(engine, "SELECT 7 AS n", "csv", tmp_path / "no" / "result", tmp_path / "history", console)


def test_a_prompt_has_no_file_and_no_parquet(engine, console, tmp_path: Path) -> None:
    for form, output in (("csv", tmp_path / "result"), ("parquet", None)):
        with pytest.raises(CommandError, match="need a statement"):
            query(engine, None, form, output, tmp_path / "history", console)


def test_parquet_is_not_written_to_a_terminal(engine, console, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with pytest.raises(CommandError, match="parquet is not for a terminal"):
        query(engine, "SELECT 7 AS n", "parquet", None, tmp_path / "history", console)


def test_every_row_comes_through_a_pipe_and_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    environ = os.environ | {"CLICKLAKE_HOME": str(tmp_path)}
    said = [*COMMAND, "sql", "--format", "json", "-c", "SELECT range AS n FROM range(200000)"]
    ended = subprocess.run(said, env=environ, capture_output=True, check=True)
    lines = ended.stdout.splitlines()
    assert (len(lines), json.loads(lines[-1])) == (200000, {"n": 199999})
    with subprocess.Popen(said, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as cut:
        assert cut.stdout and cut.stderr
        assert cut.stdout.readline() == b'{"n":0}\n'
        cut.stdout.close()
        assert cut.stderr.read() == b""
