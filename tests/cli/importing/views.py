"""Lines of a log of views, and what a mapping makes of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from cli.importing.archive import Member
from cli.importing.line_sql import LineSql
from cli.importing.mapped_rows import MemberMapper
from cli.importing.mapping import load_mapping
from cli.importing.rows import Batch
from data_contracts.landing import Event

NOW = datetime(2030, 1, 1, tzinfo=UTC)
AT = datetime(2019, 11, 24, 10, tzinfo=UTC)
HEAD = """[[ad_impressions]]
members = '(?P<place>[a-z]+)/views\\.csv'
"""
COLUMNS = {"impression_id": "id", "user_id": "visitor", "ad_id": "ad", "timestamp": "'2019-11-24T10:00:00Z'"}


def mapping_text(keys: str = "", features: str = "", **columns: str) -> str:
    lines = [f"{name} = '''{text}'''" for name, text in (COLUMNS | columns).items()]
    return "\n".join([HEAD + keys, "[ad_impressions.columns]", *lines, "[ad_impressions.features]", features])


def batch_of(names: str, rows: Sequence[str], first: int = 2) -> Batch:
    fields = [[field or None for field in row.split(",")] for row in rows]
    columns = {
        name: pa.array([row[place] for row in fields], pa.string()) for place, name in enumerate(names.split(","))
    }
    return Batch(pa.table({"line_number": pa.array(range(first, first + len(rows)), pa.int64()), **columns}))


def mapper(folder: Path, text: str, schema: pa.Schema) -> MemberMapper:
    (folder / "mine.toml").write_text(text)
    member = Member("north/views.csv", "log/north/views.csv")
    made = MemberMapper(
        load_mapping(folder / "mine.toml"), member, schema, lambda user: f"pseudonym of {user}", LineSql()
    )
    made.check()
    return made


def judged(folder: Path, text: str, batch: Batch) -> list[tuple[Event, str]]:
    return list(mapper(folder, text, batch.lines.schema.remove(0)).judged(batch, NOW))


def events(folder: Path, text: str, names: str, *rows: str) -> list[Event]:
    return [event for event, _ in judged(folder, text, batch_of(names, rows))]


def rows(folder: Path, text: str, names: str, *lines: str) -> list[dict]:
    return [dict(event.row) for event in events(folder, text, names, *lines)]


def refused(number: int, reason: str) -> Event:
    return Event("ad_impressions", NOW, None, f"log/north/views.csv:{number}", reason)
