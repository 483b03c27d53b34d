"""Imports a log that exists already: its lines take the same road into the lake as live events."""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from cli.archive import Member, opened_members, source_digest
from cli.csv_lines import CsvLines
from cli.mapped_rows import MemberMapper, sections_of
from cli.mapping import Mapping, MappingError, load_mapping
from data_contracts.landing import Event, LandingWriter
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import Settings

BATCH_LINES = 5_000


@dataclass(frozen=True)
class Imported:
    """What an import wrote: rows and malformed lines by table, now or, if `already_imported`, when it was first run."""

    rows: Dictionary[str, int]
    malformed: Dictionary[str, int]
    already_imported: bool = False


def import_log(
    settings: Settings, mapping_path: Path, source_path: Path, console: Console, again: bool = False
) -> Imported:
    """Writes the rows of a source to landing, sealed, and says how many; a source that was imported with the same
    mapping is not read again, unless `again`.

    Raises MappingError and SourceError before anything is written where it can, OSError when the disk refuses. An
    import that was cut off may be run again: its rows carry the same ids, so the tables end the same.
    """
    mapping = load_mapping(mapping_path)
    digest = source_digest(mapping.content, source_path, lambda path: bool(sections_of(mapping, path)))
    marker = settings.home / "imports" / f"{digest}.json"
    if not again and (imported := _read_marker(marker)):
        console.print(f"{source_path.name} was imported before: nothing to do")
        return imported
    members = _checked_members(mapping, source_path)
    started = time.monotonic()
    with _progress(console, members) as progress:
        imported = _written(settings, mapping, source_path, progress)
    _write_marker(marker, imported, mapping_path, source_path)
    _report(console, imported, time.monotonic() - started)
    return imported


def _checked_members(mapping: Mapping, source: Path) -> list[Member]:
    """The members that will be read, after every expression was tried on the columns of each."""
    members: list[Member] = []
    read: set[str] = set()
    for member, stream in opened_members(source, lambda path: bool(sections_of(mapping, path))):
        names = CsvLines(stream, member.origin).names
        read.update(section.key for section in MemberMapper(mapping, member, names, str).sections)
        members.append(member)
    for section in mapping.sections:
        if section.key not in read:
            raise MappingError(
                f"{mapping.path}: {section.key}.members: {section.members.pattern} matches no member of {source.name}"
            )
    return members


def _written(settings: Settings, mapping: Mapping, source: Path, progress: Progress) -> Imported:
    rows, malformed = Counter[str](), Counter[str]()
    pseudonym_of, now = partial(pseudonym, load_key(settings.pseudonym_key)), settings.clock.now()
    writer = LandingWriter(settings.landing, "import")
    try:
        for member, stream in opened_members(source, lambda path: bool(sections_of(mapping, path))):
            lines = CsvLines(stream, member.origin)
            mapper = MemberMapper(mapping, member, lines.names, pseudonym_of)
            for batch in lines.batches(BATCH_LINES):
                table = mapper.sections[0].table.name
                events = _malformed_events(member, table, batch.malformed, now) + list(mapper.events(batch, now))
                writer.append(events)
                rows.update(event.table for event in events if event.row is not None)
                malformed.update(event.table for event in events if event.row is None)
                _advance(progress, batch.size, rows.total())
    finally:
        writer.close()
    return Imported(dict(rows), dict(malformed))


def _malformed_events(member: Member, table: str, malformed: list[tuple[int, str]], now: datetime) -> list[Event]:
    """A malformed line belongs to the first table that reads its member; its text is not kept, it may name a user."""
    return [Event(table, now, None, f"{member.origin}:{number}", error) for number, error in malformed]


def _read_marker(marker: Path) -> Imported | None:
    """What an earlier import wrote; a damaged marker is none, since importing again does no harm."""
    try:
        written = json.loads(marker.read_text())
        return Imported(written["rows"], written["malformed"], already_imported=True)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _write_marker(marker: Path, imported: Imported, mapping: Path, source: Path) -> None:
    """Makes the import known as done, in one step that survives a power cut."""
    marker.parent.mkdir(parents=True, exist_ok=True)
    unfinished = marker.with_suffix(f".{os.getpid()}")
    counts = {"rows": imported.rows, "malformed": imported.malformed}
    with unfinished.open("w") as file:
        json.dump({"mapping": mapping.name, "source": source.name, **counts}, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(marker)
    folder = os.open(marker.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _progress(console: Console, members: list[Member]) -> Progress:
    progress = Progress(
        TextColumn("importing"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[speed]:,.0f} rows/s"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    sizes_are_known = not any(member.path.endswith(".gz") for member in members)
    progress.add_task("", total=sum(member.size for member in members) if sizes_are_known else None, rows=0, speed=0.0)
    return progress


def _advance(progress: Progress, size: int, rows: int) -> None:
    task = progress.tasks[0]
    progress.update(task.id, advance=size, rows=rows, speed=rows / (task.elapsed or 1.0))


def _report(console: Console, imported: Imported, seconds: float) -> None:
    for table in sorted({*imported.rows, *imported.malformed}):
        bad = imported.malformed.get(table, 0)
        console.print(f"{table}: {imported.rows.get(table, 0):,} rows" + (f", {bad:,} malformed lines" if bad else ""))
    total = sum(imported.rows.values())
    console.print(f"{total:,} rows in {seconds:.1f} s, {total / max(seconds, 1e-9):,.0f} rows/s")
