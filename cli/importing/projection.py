"""A section of a mapping made ready for the members that look alike: which SQL it is, and whether it fits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import pyarrow as pa

from cli.importing.line_sql import LINES, LineQuery, LineSql, identifier
from cli.importing.mapping import MappingError, Section
from cli.importing.row_sql import Value, row_query
from cli.importing.rows import LINE_NUMBER
from data_contracts.render import quoted

NOT_STORED = ("where", "received_at", "columns.user_id")
"""Keys of expressions whose value does not land as it is: a choice, an instant, and what becomes a pseudonym."""


@dataclass(frozen=True)
class Projection:
    """The queries of one section on one member's lines: which lines become a row (`where`), and `rows` of line number,
    received_at if it is stated, `columns`, `features`, mistakes and breaches."""

    section: Section
    where: LineQuery
    rows: LineQuery
    columns: tuple[str, ...]
    features: tuple[str, ...]


def projection(section: Section, schema: pa.Schema, groups: Mapping[str, str]) -> Projection:
    """The queries of `section` on lines of `schema`, with the named groups of the member's path beside them."""
    relation, values = _relation(groups), _values(section, schema)
    where = f"COALESCE(CAST(({_expression(section.where, schema)}\n) AS BOOLEAN), false)"
    return Projection(
        section,
        LineQuery(*(f"SELECT {asked} FROM {relation}" for asked in (where, f"TRY({where})", f"TRY({where}) IS NULL"))),
        row_query(values, relation),
        tuple(section.columns),
        tuple(_features(section, schema)),
    )


def used_columns(sections: Sequence[Section], names: Sequence[str]) -> list[str]:
    """The source columns that a section may use: those an expression spells out, or that are kept."""
    texts = [text for section in sections for text in _expressions(section).values()]
    spelled = "\n".join(texts).replace('""', '"').lower()
    return [name for name in names if name.lower() in spelled or any(_keeps(section, name) for section in sections)]


class Fitting:
    """Checks the sections that read a member against its columns, before a line is read. Raises MappingError."""

    def __init__(
        self, mapping_path: object, member_path: str, sections: Sequence[Section], schema: pa.Schema, sql: LineSql
    ) -> None:
        self._mapping_path, self._member_path, self._sql = mapping_path, member_path, sql
        self._sections, self._names, self._schema = sections, [name.lower() for name in schema.names], schema

    def check(self) -> None:
        """Refuses what does not fit, the first of it, by its key in the mapping."""
        for section in self._sections:
            groups = section.members.groupindex
            self._check_names(section, list(groups))
            relation = _relation(dict.fromkeys(groups, ""))
            lines = lines_schema(self._schema)
            for key, text in _expressions(section).items():
                expression = _expression(text, self._schema)
                if complaint := self._sql.complaint(expression, relation, lines):
                    self._refuse(section, key, f"{complaint} ({self._member_path} has: {self._known()})")
        for section in self._sections:
            self._check_user_columns(section)

    def _check_names(self, section: Section, groups: list[str]) -> None:
        taken = set(self._names)
        for name in (LINE_NUMBER, *groups):
            if name.lower() in taken:
                self._refuse(section, "members", f"{self._member_path} has a column called {name} of its own")
            taken.add(name.lower())

    def _check_user_columns(self, section: Section) -> None:
        """What user_id is made of goes nowhere else, unless the mapping states that it may: it could name the user."""
        personal = self._user_columns() - {name.lower() for name in section.allow_user_columns}
        for key, text in _expressions(section).items():
            if key in NOT_STORED:
                continue
            for name in sorted(self._columns_of(text) & personal):
                self._refuse(section, key, self._would_store(name))
        for name in self._schema.names:
            if _keeps(section, name) and name.lower() in personal:
                self._refuse(section, "keep_features", self._would_store(name.lower()))
        for name in section.members.groupindex:
            if name.lower() in personal:
                self._refuse(section, "members", self._would_store(name.lower(), " as part of each row's origin"))

    def _user_columns(self) -> set[str]:
        """What any section that reads this member makes a user_id of."""
        known = {*self._names, *(name.lower() for section in self._sections for name in section.members.groupindex)}
        stated = [section.columns["user_id"] for section in self._sections if "user_id" in section.columns]
        return known & set[str]().union(*map(self._columns_of, stated))

    def _columns_of(self, text: str) -> set[str]:
        return self._sql.columns_of(_expression(text, self._schema))

    def _would_store(self, name: str, how: str = "") -> str:
        return (
            f"would store {name}{how}, of which user_id is made; if it names no person, state "
            f'allow_user_columns = ["{name}"]'
        )

    def _known(self) -> str:
        return ", ".join([*self._schema.names[:20], *(["..."] if self._schema.names[20:] else [])])

    def _refuse(self, section: Section, key: str, why: str) -> NoReturn:
        raise MappingError(f"{self._mapping_path}: {section.key}.{key}: {why}")


def lines_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of a batch's lines, which have their number."""
    return pa.schema([(LINE_NUMBER, pa.int64()), *schema])


def _relation(groups: Mapping[str, str]) -> str:
    constants = "".join(f", {quoted(value)} AS {identifier(name)}" for name, value in groups.items())
    return f"(SELECT *{constants} FROM {LINES})"


def _values(section: Section, schema: pa.Schema) -> list[Value]:
    """received_at, if it is stated, the columns, the features."""
    contract = {column.name: column for column in section.table.columns}
    stated = {"received_at": section.received_at} if section.states_received_at else {}
    columns = {**stated, **section.columns}
    values = [
        Value(name, _expression(text, schema), contract[name].type, contract[name]) for name, text in columns.items()
    ]
    kind = "DOUBLE" if "features" in contract and contract["features"].type == "MAP<STRING,DOUBLE>" else "STRING"
    return values + [Value(f"features.{name}", sql, kind) for name, sql in _features(section, schema).items()]


def _features(section: Section, schema: pa.Schema) -> dict[str, str]:
    kept = {field.name: _kept(field) for field in schema if _keeps(section, field.name)}
    return {**kept, **{name: _expression(text, schema) for name, text in section.features.items()}}


def _kept(column: pa.Field) -> str:
    """A column that is kept as it is; a list or structure of Parquet as its JSON."""
    name = identifier(column.name)
    return f"CAST(to_json({name}) AS VARCHAR)" if pa.types.is_nested(column.type) else name


def _expressions(section: Section) -> dict[str, str]:
    """All expressions of a section by their key in the mapping."""
    columns = {f"columns.{name}": text for name, text in section.columns.items()}
    features = {f"features.{name}": text for name, text in section.features.items()}
    received_at = {"received_at": section.received_at} if section.states_received_at else {}
    return {"where": section.where, **received_at, **columns, **features}


def _expression(text: str, schema: pa.Schema) -> str:
    """An expression that is just a column's name is that column, be the name a word of SQL."""
    return identifier(text.strip()) if text.strip().lower() in map(str.lower, schema.names) else text


def _keeps(section: Section, name: str) -> bool:
    return section.keep_features is not None and bool(section.keep_features.fullmatch(name))
