"""Spark SQL over the lake for a person, on the running server: the same views as in DuckDB."""

import contextlib
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

import pyarrow as pa
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import SparkSession

from cli.errors import CommandError
from cli.prompt import READING, Engine
from data_contracts.render import column_words, quoted, spark_scan, spark_view
from data_contracts.schema import Table
from data_contracts.settings import Settings
from data_contracts.table_history import HistoryError, versions_at
from data_contracts.tables import TABLES
from spark_jobs.session import JobError, connect

FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(\w*)", re.DOTALL)
END = re.compile(r";\s*(--[^\n'\"`]*)?\s*$")
ABOUT_TABLE = re.compile(r"\s*(DESC(?:RIBE)?\s+(?:HISTORY|DETAIL))\s+(\w+)\s*$", re.IGNORECASE)
QUERIES = {"SELECT", "WITH", "FROM", "VALUES", "TABLE"}
QUESTIONS = {"SHOW", "DESCRIBE", "DESC", "EXPLAIN"}


@contextlib.contextmanager
def spark_engine(settings: Settings, at: datetime | None = None) -> Iterator[Engine]:
    """An engine with a session of its own; CommandError at once when no server listens."""
    try:
        session = connect(settings)
    except JobError as error:
        raise CommandError(str(error)) from None
    try:
        yield partial(answered, session, settings, at)
    finally:
        session.stop()


@contextlib.contextmanager
def answered(
    session: SparkSession, settings: Settings, at: datetime | None, statement: str, rows: int | None
) -> Iterator[pa.RecordBatchReader]:
    """The rows of a statement that reads, at most so many."""
    # Spark's client logs what it raises, the server's stack included.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    statement = END.sub("", statement)
    try:
        first_word = _require_reading(statement)
        make_views(session, settings, at, statement if first_word in QUERIES else None)
        if first_word in QUERIES:
            # Nothing but a query may stand within brackets: no INSERT behind a WITH or a FROM gets past this.
            session.sql(f"SELECT * FROM ({statement}\n)")
        found = session.sql(_of_delta(statement, settings))
        yield (found.limit(rows) if rows else found).toArrow().to_reader()
    except PySparkException as error:
        raise CommandError(one_line(error)) from None
    except HistoryError as error:
        raise CommandError(str(error)) from None
    except KeyboardInterrupt:
        session.interruptAll()
        raise


def make_views(session: SparkSession, settings: Settings, at: datetime | None, statement: str | None = None) -> None:
    """A view a table that `statement` names, of all without one, and the view `columns`."""
    versions = versions_at(settings.lake, at)
    named = set(re.findall(r"\w+", statement.lower())) if statement is not None else {*TABLES, "columns"}

    def make(table: Table) -> None:
        if table.name not in versions:
            session.sql(spark_view(table, None))
            return
        scan = spark_scan(settings.lake / table.name, versions[table.name])
        try:
            session.sql(spark_view(table, scan))
        except AnalysisException:
            own = set(session.sql(f"SELECT * FROM {scan}").columns)
            session.sql(spark_view(table, scan, {column.name for column in table.columns if column.nullable} - own))

    with ThreadPoolExecutor(4) as makers:
        list(makers.map(make, [table for table in TABLES.values() if table.name in named]))
    if "columns" in named:
        session.sql(f"CREATE OR REPLACE TEMP VIEW columns AS {_columns_query()}")


def _of_delta(statement: str, settings: Settings) -> str:
    """DESCRIBE HISTORY and DESCRIBE DETAIL ask about the Delta table itself, which its view does not answer."""
    asked = ABOUT_TABLE.match(statement)
    if asked is None or asked[2].lower() not in TABLES:
        return statement
    return f"{asked[1]} {spark_scan(settings.lake / asked[2].lower(), None)}"


def _columns_query() -> str:
    rows = ", ".join(f"({', '.join(map(quoted, row))})" for row in column_words())
    return f"SELECT * FROM VALUES {rows} AS columns(table_name, column_name, type, about)"


def _require_reading(statement: str) -> str:
    """The statement's first word, of those that read; the server has no other guard for its tables."""
    found = FIRST_WORD.match(statement)
    word = found[1].upper() if found else ""
    if word not in QUERIES | QUESTIONS:
        raise CommandError(
            f"{word or 'nothing'}: this command only reads ({READING})" if statement.strip() else "no statement"
        )
    return word


def one_line(error: PySparkException) -> str:
    """What Spark says, without its plan and stack."""
    said = str(error).strip().splitlines()[0]
    line = re.search(r"line (\d+)[, ]+pos(?:ition)? ?\d+", str(error))
    words = re.split(r" ?SQLSTATE: \w+", said)[0].strip()
    return f"{words} (line {line[1]})" if line else words
