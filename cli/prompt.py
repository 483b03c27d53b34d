"""What `clicklake sql` and `clicklake spark-sql` share: one statement, or a prompt, and where a result goes."""

import contextlib
import io
import os
import readline
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from rich.console import Console

from cli.errors import CommandError
from cli.result_formats import write_csv, write_json, write_parquet
from cli.result_table import MOST_ROWS, show_table

Engine = Callable[[str, int | None], AbstractContextManager[pa.RecordBatchReader]]
"""Runs a statement that reads and gives its rows, of which so many will be looked at (all, without a number);
CommandError says in one line why there are none."""

READING = "SELECT, WITH, FROM, VALUES, SHOW, DESCRIBE, EXPLAIN"
WELCOME = (
    "A view a table of the contract. End a statement with ; or an empty line.\n"
    "SHOW TABLES; lists the tables, SELECT * FROM columns; says what each column means. Ctrl-D leaves."
)


Writer = Callable[[pa.RecordBatchReader, BinaryIO], None]
WRITERS: dict[str, Writer] = {"csv": write_csv, "json": write_json, "parquet": write_parquet}
"""The formats besides `table`."""


def query(
    engine: Engine, statement: str | None, form: str, output: Path | None, history: Path, console: Console
) -> None:
    """Answers `statement`, or opens a prompt when there is none."""
    if statement is not None:
        answer(engine, statement, form, output, console)
    elif output or form == "parquet":
        raise CommandError("--output and --format parquet need a statement: -c 'SELECT ...'")
    else:
        prompt(engine, form, history, console)


def answer(engine: Engine, statement: str, form: str, output: Path | None, console: Console) -> None:
    """Runs one statement; its result goes to the file `output`, which is there whole or not at all, else to stdout."""
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise CommandError("parquet is not for a terminal: give --output FILE, or send it into a pipe or a file")
    with engine(statement, MOST_ROWS + 1 if form == "table" else None) as result:
        if form == "table":
            with _shown_on(console, output) as shown:
                show_table(result, shown)
        elif output:
            with _whole(output) as sink:
                WRITERS[form](result, sink)
        else:
            WRITERS[form](result, sys.stdout.buffer)
            sys.stdout.buffer.flush()


def prompt(engine: Engine, form: str, history: Path, console: Console) -> None:
    """Reads statements until the end of the input. A person's are remembered in `history` and go on after an error;
    those of a pipe end at the first, with CommandError."""
    if not sys.stdin.isatty():
        for statement in statements("", ""):
            answer(engine, statement, form, None, console)
        return
    console.print(WELCOME, style="dim")
    with _remembered(history):
        for statement in statements("clicklake> ", "        -> "):
            try:
                answer(engine, statement, form, None, console)
            except CommandError as error:
                console.print(str(error), style="red", markup=False)
            except KeyboardInterrupt:
                console.print("interrupted", style="dim")


def statements(first: str, further: str) -> Iterator[str]:
    """Statements as they are typed, over several lines where they are; `first` and `further` ask for a line."""
    lines: list[str] = []
    while True:
        try:
            line = input(further if lines else first).rstrip()
        except EOFError:
            if first:
                print()
            break
        except KeyboardInterrupt:
            print()
            lines = []
            continue
        lines += [line] if line else []
        if lines and (not line or line.endswith(";")):
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


@contextlib.contextmanager
def _remembered(history: Path) -> Iterator[None]:
    history.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    try:
        yield
    finally:
        readline.set_history_length(1000)
        readline.write_history_file(history)


@contextlib.contextmanager
def _whole(output: Path) -> Iterator[BinaryIO]:
    """A file that takes its name when everything is in it; a link, a device or a pipe is written as it is."""
    is_special = output.is_symlink() or (output.exists() and not output.is_file())
    beside = output if is_special else output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with beside.open("wb") as sink:
            yield sink
        if not is_special:
            beside.replace(output)
    except OSError as error:
        raise CommandError(f"{output}: {error.strerror}") from None
    finally:
        if not is_special:
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _shown_on(console: Console, output: Path | None) -> Iterator[Console]:
    if output is None:
        yield console
        return
    with _whole(output) as sink:
        written = io.TextIOWrapper(sink, "utf-8", write_through=True)
        yield Console(file=written, highlight=False)
        written.detach()
