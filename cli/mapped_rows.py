"""Lines of a member turned into events by the sections of a mapping that read it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NoReturn

import pyarrow as pa

from cli.archive import Member
from cli.csv_lines import LineBatch
from cli.line_sql import LINES, LineSql, identifier, typed
from cli.mapping import Mapping, MappingError, Section
from data_contracts.landing import Event, instant_text
from data_contracts.render import quoted

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Projection:
    """One section made ready for one member: SQL for line number, received_at, columns and features, and how each
    column's value is written. `relation` is the lines with the named groups beside them."""

    section: Section
    relation: str
    where: str
    expressions: tuple[str, ...]
    columns: tuple[tuple[str, Callable[[Any], Any]], ...]
    features: tuple[str, ...]


class MemberMapper:
    """Maps the lines of one member for every section that reads it; `pseudonym_of` a raw user id is stored.

    Raises MappingError, before any line is read, when an expression does not fit the member's columns.
    """

    def __init__(self, mapping: Mapping, member: Member, names: Sequence[str], pseudonym_of: Callable[[str], str]):
        self.sections = sections_of(mapping, member.path)
        self._mapping, self._member, self._names = mapping, member, names
        self._pseudonym = lru_cache(maxsize=100_000)(pseudonym_of)
        self._sql = LineSql()
        self._used = _used_columns(self.sections, names)
        self._projections = [self._projection(section) for section in self.sections]

    def events(self, batch: LineBatch, now: datetime) -> Iterator[Event]:
        """The events of a batch's good lines, section by section. A line whose row's time cannot be told is known
        from `now` on."""
        lines = self._lines(batch)
        for projection in self._projections:
            chosen = lines
            if projection.section.where != "true":
                judged = [value for (value,) in self._sql.values([projection.where], projection.relation, lines)]
                for number, value in zip(batch.numbers, judged, strict=True):
                    if value is None:
                        yield self._unmapped(projection, number, "where", now)
                chosen = lines.filter(pa.array(judged, pa.bool_()))
            for record in self._sql.values(projection.expressions, projection.relation, chosen):
                yield self._event(projection, record, now)

    def _event(self, projection: Projection, record: tuple[Any, ...], now: datetime) -> Event:
        number, received, *values = record
        received_at = _instant(received)
        if received_at is None and projection.section.states_received_at:
            return self._unmapped(projection, number, "received_at", now)
        row = {
            name: written(value)
            for (name, written), value in zip(projection.columns, values, strict=False)
            if value is not None
        }
        kept = zip(projection.features, values[len(projection.columns) :], strict=True)
        if features := {name: value for name, value in kept if value is not None}:
            row["features"] = features
        return Event(projection.section.table.name, received_at or now, row, f"{self._member.origin}:{number}")

    def _unmapped(self, projection: Projection, number: int, key: str, now: datetime) -> Event:
        origin, error = f"{self._member.origin}:{number}", f"{key} cannot be computed for this line"
        return Event(projection.section.table.name, now, None, origin, error)

    def _lines(self, batch: LineBatch) -> pa.Table:
        columns = {"line_number": pa.array(batch.numbers, pa.int64())}
        for place, name in self._used:
            columns[name] = pa.array([row[place] or None for row in batch.rows], pa.string())
        return pa.table(columns)

    def _projection(self, section: Section) -> Projection:
        match = section.members.fullmatch(self._member.path)
        groups = match.groupdict(default="") if match else {}
        self._check_names(section, groups)
        constants = "".join(f", {quoted(value)} AS {identifier(name)}" for name, value in groups.items())
        relation = f"(SELECT *{constants} FROM {LINES})"
        where = f"COALESCE(CAST(({self._expression(section.where)}\n) AS BOOLEAN), false)"
        expressions = {"received_at": typed(self._expression(section.received_at), "TIMESTAMP")}
        for name, text in section.columns.items():
            expressions[f"columns.{name}"] = typed(self._expression(text), _type(section, name))
        kept = {name: identifier(name) for _, name in self._used if _keeps(section, name)}
        features = {**kept, **{name: self._expression(text) for name, text in section.features.items()}}
        value_type = "DOUBLE" if _type(section, "features") == "MAP<STRING,DOUBLE>" else "STRING"
        expressions |= {f"features.{name}": typed(text, value_type) for name, text in features.items()}
        lines = self._lines(LineBatch())
        for key, expression in {"where": where, **expressions}.items():
            if complaint := self._sql.complaint(expression, relation, lines):
                self._refuse(section, key, f"{complaint} ({self._member.path} has: {self._known()})")
        columns = tuple((name, self._written(section, name)) for name in section.columns)
        return Projection(section, relation, where, ("line_number", *expressions.values()), columns, tuple(features))

    def _expression(self, text: str) -> str:
        """An expression that is just a column's name is that column, be the name a word of SQL."""
        return identifier(text.strip()) if text.strip().lower() in map(str.lower, self._names) else text

    def _written(self, section: Section, name: str) -> Callable[[Any], Any]:
        """How a value that is not null is written into the row."""
        if name == "user_id":
            return self._pseudonym
        return _instant_text if _type(section, name) == "TIMESTAMP" else _unchanged

    def _check_names(self, section: Section, groups: dict[str, str]) -> None:
        taken = {name.lower() for name in self._names}
        for name in ("line_number", *groups):
            if name.lower() in taken:
                self._refuse(section, "members", f"{self._member.path} has a column called {name} of its own")
            taken.add(name.lower())
        self._check_raw_id(section)

    def _check_raw_id(self, section: Section) -> None:
        """Where user_id is a source column as it is, nothing else may be made of that column."""
        raw = section.columns.get("user_id", "").strip().strip('"').lower()
        if raw not in map(str.lower, self._names):
            return
        would = f"would store {raw}, the raw id of columns.user_id"
        if any(name.lower() == raw and _keeps(section, name) for name in self._names):
            self._refuse(section, "keep_features", would)
        spelled = re.compile(rf"(?<!\w){re.escape(raw)}(?!\w)", re.IGNORECASE)
        for part, texts in (("columns", section.columns), ("features", section.features)):
            for name, text in texts.items():
                if name != "user_id" and spelled.search(text):
                    self._refuse(section, f"{part}.{name}", would)

    def _known(self) -> str:
        return ", ".join([*self._names[:20], *(["..."] if self._names[20:] else [])])

    def _refuse(self, section: Section, key: str, why: str) -> NoReturn:
        raise MappingError(f"{self._mapping.path}: {section.key}.{key}: {why}")


def sections_of(mapping: Mapping, member_path: str) -> list[Section]:
    """The sections that read a member, in the mapping's order."""
    return [section for section in mapping.sections if section.members.fullmatch(member_path)]


def _used_columns(sections: Sequence[Section], names: Sequence[str]) -> list[tuple[int, str]]:
    """Place and name of the source columns that a section may use: those an expression spells out, or that are kept."""
    texts = [
        text
        for section in sections
        for text in (section.where, section.received_at, *section.columns.values(), *section.features.values())
    ]
    spelled = "\n".join(texts).replace('""', '"').lower()
    return [
        (place, name)
        for place, name in enumerate(names)
        if name.lower() in spelled or any(_keeps(section, name) for section in sections)
    ]


def _keeps(section: Section, name: str) -> bool:
    return section.keep_features is not None and bool(section.keep_features.fullmatch(name))


def _type(section: Section, name: str) -> str:
    return next((column.type for column in section.table.columns if column.name == name), "")


def _instant(microseconds: int | None) -> datetime | None:
    """The instant, or None when it is beyond the year 9999 or before the year 1."""
    try:
        return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


def _instant_text(microseconds: int) -> str | None:
    instant = _instant(microseconds)
    return instant_text(instant) if instant else None


def _unchanged(value: Any) -> Any:
    return value
