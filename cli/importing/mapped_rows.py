"""Lines of a member turned into events by the sections of a mapping that read it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from cli.importing.archive import Member
from cli.importing.line_sql import LineSql
from cli.importing.mapping import Mapping
from cli.importing.projection import Fitting, Projection, projection, used_columns
from cli.importing.rows import LINE_NUMBER, Batch
from data_contracts.landing import Event

Judged = tuple[Event, str]
"""An event, and why it will be a rejected event: empty for a row that will be in its table."""


class MemberMapper:
    """Maps the lines of one member, whose columns are `schema`, for every section that reads it; `pseudonym_of` a raw
    user id is stored. `columns` are those it needs."""

    def __init__(
        self, mapping: Mapping, member: Member, schema: pa.Schema, pseudonym_of: Callable[[str], str], sql: LineSql
    ) -> None:
        self.sections = mapping.sections_of(member.path)
        self.columns = used_columns(self.sections, schema.names)
        self._mapping, self._member, self._schema, self._sql = mapping, member, schema, sql
        self._pseudonym = pseudonym_of
        self._projections = [
            projection(section, schema, match.groupdict(default=""))
            for section in self.sections
            if (match := section.members.fullmatch(member.path))
        ]

    def check(self) -> None:
        """Raises MappingError, before any line is read, when an expression does not fit the member's columns."""
        Fitting(self._mapping.path, self._member.path, self.sections, self._schema, self._sql).check()

    def judged(self, batch: Batch, now: datetime) -> Iterator[Judged]:
        """The events of a batch, section by section. What has no time of its own is known from `now` on.

        A malformed line belongs to the first table that reads its member. Where a value cannot be had from a line, the
        line gives no row: the reason names the column, and the value, which may name a user, is not kept. A row that
        the contract will refuse goes on whole, for refine_events to judge.
        """
        for number, error in batch.malformed:
            yield self._refused(self._projections[0], number, error, now)
        for projected in self._projections:
            chosen = batch.lines
            if projected.section.where != "true":
                is_row = [value for (value,) in self._sql.rows(projected.where, chosen)]
                for number, value in zip(chosen[LINE_NUMBER].to_pylist(), is_row, strict=True):
                    if value is None:
                        yield self._refused(projected, number, "where: cannot be computed", now)
                chosen = chosen.filter(pa.array(is_row, pa.bool_()))
            yield from self._rows(projected, chosen, now)

    def _rows(self, projected: Projection, lines: pa.Table, now: datetime) -> Iterator[Judged]:
        section, columns = projected.section, projected.columns
        own_time, states_received_at = section.table.own_time, section.states_received_at
        begin = 2 if states_received_at else 1
        end = begin + len(columns)
        for record in self._sql.rows(projected.rows, lines):
            mistakes, breaches = record[-2:]
            if mistakes or (states_received_at and record[1] is None):
                yield self._refused(projected, record[0], mistakes or breaches, now)
                continue
            row = _present(columns, record[begin:end])
            if "user_id" in row:
                row["user_id"] = self._pseudonym(row["user_id"])
            if features := _present(projected.features, record[end:-2]):
                row["features"] = features
            received = record[1] if states_received_at else row.get(own_time or "")
            known = datetime.fromisoformat(received) if received else now
            yield Event(section.table.name, known, row, f"{self._member.origin}:{record[0]}"), breaches

    def _refused(self, projected: Projection, number: int, reason: str, now: datetime) -> Judged:
        return Event(projected.section.table.name, now, None, f"{self._member.origin}:{number}", reason), reason


def _present(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The values that are not null, by name."""
    found = dict(zip(names, values, strict=True))
    return {name: value for name, value in found.items() if value is not None} if None in values else found
