"""Imports a log that exists already: its lines take the same road into the lake as live events."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import IO

from rich.console import Console

from cli.cycles import no_search_for_cycles
from cli.held import IMPORT, MARKET, held_by, require_no_other
from cli.importing.archive import Member, opened_members, size_of, source_digest
from cli.importing.csv_lines import CsvLines
from cli.importing.json_lines import JsonLines
from cli.importing.line_sql import LineSql
from cli.importing.mapped_rows import MemberMapper
from cli.importing.mapping import Layout, Mapping, MappingError, load_mapping
from cli.importing.parquet_rows import ParquetRows
from cli.importing.rows import Rows
from cli.importing.shown import Bar, show_summary
from cli.importing.tally import Tally, read_tally, write_tally
from data_contracts.landing import LandingWriter
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import Settings

RECORD_SECONDS = 5.0
"""How often it is put on disk how far an import has come: what a kill makes it do again."""
USERS_REMEMBERED = 200_000
MEMBERS_LISTED = 10


def import_log(
    settings: Settings, mapping_path: Path, sources: Sequence[Path], console: Console, again: bool = False
) -> Tally | None:
    """Writes the rows of the sources to landing, sealed, and says how many; None when they were imported with the same
    mapping before, then they are not read again, unless `again`.

    Raises CommandError where the home holds a synthetic market, MappingError and SourceError before anything is written
    where it can, OSError when the disk refuses. An import that was cut off goes on where it was. Rows that it had
    written, but not recorded, come again with the same ids, so the tables end the same.
    """
    mapping = load_mapping(mapping_path)
    if held_by(settings.home) == MARKET:
        require_no_other(settings.home, IMPORT)
    with console.status("reading the sources"):
        digest = source_digest(mapping.content, sources, mapping.reads)
        record = settings.home / "imports" / f"{digest}.json"
        tally = (None if again else read_tally(record)) or Tally()
        if not tally.is_finished:
            check_members(mapping, sources)
    if tally.is_finished:
        names = ", ".join(source.name for source in sources)
        console.print(f"{names} {'were' if sources[1:] else 'was'} imported before: nothing to do")
        return None
    if tally.events:
        console.print(f"going on after {tally.member}:{tally.line:,}, with {tally.events:,} rows done before")
    before, started = tally.events, time.monotonic()
    try:
        with Bar(console, size_of(sources, mapping.reads), before) as bar:
            _write(settings, mapping, sources, record, tally, bar)
    except KeyboardInterrupt:
        console.print(f"stopped after {tally.events:,} rows: the same command goes on from there")
        raise
    show_summary(console, tally, tally.events - before, time.monotonic() - started)
    return tally


def check_members(mapping: Mapping, sources: Sequence[Path]) -> None:
    """Tries every expression on the columns of every member. Raises MappingError and SourceError."""
    sql, known, read = LineSql(), set[tuple[str, ...]](), set[str]()
    for member, stream in opened_members(sources, mapping.reads):
        schema = opened_rows(stream, member, mapping.layout_of(member.path)).schema
        keys = tuple(section.key for section in mapping.sections_of(member.path))
        if (kind := (*keys, str(schema))) not in known:
            MemberMapper(mapping, member, schema, str, sql).check()
        known.add(kind)
        read.update(keys)
    for section in mapping.sections:
        if section.key not in read:
            pattern, listed = section.members.pattern, _listed(sources)
            raise MappingError(f"{mapping.path}: {section.key}.members: {pattern} matches no member of {listed}")


def _listed(sources: Sequence[Path]) -> str:
    """The sources, and the first files in them."""
    found = [member.path for member, _ in islice(opened_members(sources, lambda _: True), MEMBERS_LISTED + 1)]
    more = ", ..." if found[MEMBERS_LISTED:] else ""
    return f"{', '.join(source.name for source in sources)} (there: {', '.join(found[:MEMBERS_LISTED])}{more})"


def opened_rows(stream: IO[bytes], member: Member, layout: Layout) -> Rows:
    """The rows of a member by its format. Raises SourceError."""
    if layout.format == "parquet":
        return ParquetRows(stream, member.origin)
    if layout.format == "jsonl":
        return JsonLines(stream, member.origin, layout.column_names)
    return CsvLines(stream, member.origin, layout.delimiter, layout.column_names)


def _write(settings: Settings, mapping: Mapping, sources: Sequence[Path], record: Path, tally: Tally, bar: Bar) -> None:
    """Brings the tally to its end, and on disk every few seconds, and when something stops it."""
    key, now = load_key(settings.pseudonym_key), settings.clock.now()
    pseudonym_of = lru_cache(maxsize=USERS_REMEMBERED)(partial(pseudonym, key))
    sql, due = LineSql(), time.monotonic() + RECORD_SECONDS
    with no_search_for_cycles(), contextlib.closing(LandingWriter(settings.landing, "import")) as writer:
        try:
            for member, stream in _members_left(mapping, sources, tally.member):
                rows = opened_rows(stream, member, mapping.layout_of(member.path))
                mapper = MemberMapper(mapping, member, rows.schema, pseudonym_of, sql)
                for batch in rows.batches(mapper.columns, after=tally.line if member.path == tally.member else 0):
                    judged = list(mapper.judged(batch, now))
                    writer.append([event for event, _ in judged])
                    tally.count(judged)
                    tally.member, tally.line = member.path, batch.last_line
                    bar.show(member.position(), tally.events)
                    if time.monotonic() >= due:
                        write_tally(record, tally)
                        due = time.monotonic() + RECORD_SECONDS
        except BaseException:
            with contextlib.suppress(OSError):
                write_tally(record, tally)
            raise
    tally.is_finished = True
    write_tally(record, tally)


def _members_left(mapping: Mapping, sources: Sequence[Path], reached: str) -> Iterator[tuple[Member, IO[bytes]]]:
    """All members, or those from the one that was reached before."""
    is_passed = bool(reached)
    for member, stream in opened_members(sources, mapping.reads):
        is_passed = is_passed and member.path != reached
        if not is_passed:
            yield member, stream
