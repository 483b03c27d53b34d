"""DuckDB over the lake for a person."""

import contextlib
import os
import re
import select
import signal
import threading
from collections.abc import Iterator
from datetime import datetime
from functools import partial

import duckdb
import pyarrow as pa

from cli.errors import CommandError
from cli.prompt import READING, Engine
from cli.result_formats import BATCH_ROWS
from data_contracts.lake import open_lake
from data_contracts.settings import Settings
from data_contracts.table_history import HistoryError

AGAIN_SECONDS = 0.1
HINTS = ("Did you mean", "Candidate bindings")
PASSED_ON = re.compile(r"^.*get_next failed\(\):(?: IOError:)* ")
COMMENTS = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
EXPLAIN = re.compile(rf"{COMMENTS}EXPLAIN\s*(\([^)]*\)|ANALYZE\b)?", re.IGNORECASE | re.DOTALL)


def duckdb_engine(settings: Settings, at: datetime | None = None) -> Engine:
    """The lake is opened for each statement, so that tables written meanwhile are there."""
    return partial(_answered, settings, at)


@contextlib.contextmanager
def _answered(
    settings: Settings, at: datetime | None, statement: str, rows: int | None
) -> Iterator[pa.RecordBatchReader]:
    try:
        with _interruptible() as opened, _ended(open_lake(settings, at)) as lake:
            opened.append(lake)
            # A table that is not there would otherwise be looked for among this program's variables.
            lake.execute("SET python_enable_replacements = false")
            _require_reading(lake, statement)
            yield lake.sql(statement).to_arrow_reader(BATCH_ROWS)
    except HistoryError as error:
        raise CommandError(str(error)) from None
    except (duckdb.Error, OSError, RuntimeError) as error:
        # What goes wrong while rows are read comes as an OSError without a number, Ctrl-C as a RuntimeError.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from None
        raise CommandError(one_line(str(error))) from None


@contextlib.contextmanager
def _ended(lake: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Closes it, and before that ends what it still computes: to close it would wait for that, deaf to Ctrl-C."""
    try:
        yield lake
    finally:
        lake.interrupt()
        lake.close()


@contextlib.contextmanager
def _interruptible() -> Iterator[list[duckdb.DuckDBPyConnection]]:
    """Ctrl-C ends what the connections in the list compute. Python would hear of it only when DuckDB returns, which may
    be in hours, and not at all where it comes while DuckDB imports something."""
    opened: list[duckdb.DuckDBPyConnection] = []
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def listen() -> None:
        # DuckDB forgets an interruption that comes before it has begun to compute, so it is told until it has ended.
        is_asked = False
        while not select.select([heard], [], [], AGAIN_SECONDS if is_asked else None)[0] or (byte := os.read(heard, 1)):
            is_asked = is_asked or byte[0] == signal.SIGINT
            for lake in opened if is_asked else ():
                with contextlib.suppress(duckdb.Error):  # it is closed by now
                    lake.interrupt()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield opened
    finally:
        signal.set_wakeup_fd(before)
        os.close(told)
        listener.join()
        os.close(heard)


def _require_reading(lake: duckdb.DuckDBPyConnection, statement: str) -> None:
    """DuckDB can write files (COPY, EXPORT) and tables elsewhere (ATTACH): not from here."""
    found = lake.extract_statements(statement)
    if len(found) != 1:
        raise CommandError(f"one statement at a time, not {len(found)}" if found else "no statement")
    kind, explained = found[0].type, EXPLAIN.match(statement)
    if kind == duckdb.StatementType.EXPLAIN and explained:
        _require_reading(lake, statement[explained.end() :])
    elif kind != duckdb.StatementType.SELECT:
        raise CommandError(f"{kind.name}: this command only reads ({READING})")


def one_line(error: str) -> str:
    """What DuckDB says, without the drawing of where."""
    said, _, where = PASSED_ON.sub("", error).partition("\nLINE ")
    hint = next((line for line in said.splitlines()[1:] if line.startswith(HINTS)), "")
    place = f" (line {where.split(':')[0]})" if where else ""
    return f"{said.splitlines()[0]}{place}{' ' + hint if hint else ''}"
