"""`clicklake import --check`: what the first lines become and what is rejected, without writing anything."""

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table as Grid

from cli.importing.archive import Member, opened_members
from cli.importing.import_log import check_members, opened_rows
from cli.importing.line_sql import LineSql
from cli.importing.mapped_rows import Judged, MemberMapper
from cli.importing.mapping import Mapping, load_mapping
from cli.importing.rows import LINE_NUMBER, Batch, Rows
from cli.importing.shown import show_reasons
from cli.importing.tally import Tally
from data_contracts.landing import Event, instant_text
from data_contracts.pseudonym import KEY_BYTES, pseudonym
from data_contracts.settings import Settings
from data_contracts.tables import LANDED

LINES_CHECKED = 1_000
ROWS_SHOWN = 3


def check_import(settings: Settings, mapping_path: Path, sources: Sequence[Path], console: Console) -> Tally:
    """Maps the first lines of the first member of each kind (one format, read by the same sections) and shows rows and
    reasons; the key of the pseudonyms is thrown away. Raises MappingError and SourceError as an import would."""
    mapping = load_mapping(mapping_path)
    check_members(mapping, sources)
    judged: list[Judged] = []
    for member, found in _first_of_each_kind(mapping, sources, settings.clock.now()):
        console.print(f"{member.origin}: the first {LINES_CHECKED:,} lines at most", markup=False)
        judged += found
    tally = Tally()
    tally.count(judged)
    for table in dict.fromkeys(section.table.name for section in mapping.sections):
        _show(console, table, tally, [(event, reason) for event, reason in judged if event.table == table])
    console.print("nothing was written; user_id is shown under a key made for this check")
    return tally


def _first_of_each_kind(
    mapping: Mapping, sources: Sequence[Path], now: datetime
) -> Iterator[tuple[Member, list[Judged]]]:
    sql, seen = LineSql(), set[tuple[str, ...]]()
    pseudonym_of = partial(pseudonym, secrets.token_bytes(KEY_BYTES))
    for member, stream in opened_members(sources, mapping.reads):
        layout = mapping.layout_of(member.path)
        kind = (layout.format, *(section.key for section in mapping.sections_of(member.path)))
        if kind in seen:
            continue
        seen.add(kind)
        rows = opened_rows(stream, member, layout)
        mapper = MemberMapper(mapping, member, rows.schema, pseudonym_of, sql)
        found = [one for batch in _first_batches(rows, mapper.columns) for one in mapper.judged(batch, now)]
        yield member, found


def _first_batches(rows: Rows, columns: Sequence[str]) -> Iterator[Batch]:
    for batch in rows.batches(columns):
        lines = batch.lines.filter(pc.less_equal(batch.lines[LINE_NUMBER], LINES_CHECKED))
        yield Batch(lines, [(number, error) for number, error in batch.malformed if number <= LINES_CHECKED])
        if batch.last_line >= LINES_CHECKED:
            return


def _show(console: Console, table: str, tally: Tally, judged: Sequence[Judged]) -> None:
    reasons = tally.rejected.get(table, Counter[str]())
    first: dict[str, str] = {}
    for event, reason in judged:
        first.setdefault(reason, event.origin)
    console.print(f"\n{table}: {tally.rows[table]:,} rows, {sum(reasons.values()):,} rejected", style="bold")
    show_reasons(console, {f"{reason}, first at {first.get(reason, '')}": n for reason, n in reasons.items()})
    if rows := [event for event, reason in judged if not reason][:ROWS_SHOWN]:
        console.print(_grid(table, rows))


def _grid(table: str, events: Sequence[Event]) -> Grid:
    """A row of the grid for each column of the contract, so that wide rows stay readable."""
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("column", overflow="fold")
    for event in events:
        grid.add_column(event.origin, overflow="fold")
    for column in LANDED[table].event_columns:
        absent = "null" if column.default is None else f"{column.default} (default)"
        grid.add_row(column.name, *(_cell((event.row or {}).get(column.name, absent)) for event in events))
    grid.add_row("received_at", *(instant_text(event.received_at) for event in events))
    return grid


def _cell(value: object) -> str:
    return ", ".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else str(value)
