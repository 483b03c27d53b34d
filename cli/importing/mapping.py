"""A mapping file: which members of a source become rows of which table, and how, as SQL expressions by column."""

import re
import tomllib
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from data_contracts.schema import Table
from data_contracts.tables import LANDED

FORMATS = {"csv": (".csv",), "tsv": (".tsv",), "jsonl": (".jsonl", ".ndjson", ".json"), "parquet": (".parquet",)}
"""The formats, and the endings of files that are taken for one when a mapping does not state it."""
PACKED = (".gz", ".zst")
SECTION_KEYS = (
    "members", "format", "delimiter", "column_names", "where", "received_at", "keep_features", "allow_user_columns",
    "columns", "features",
)  # fmt: skip


class MappingError(CommandError, ValueError):
    """A mapping that cannot be used; the message names file and key."""


@dataclass(frozen=True)
class Layout:
    """How a member is read. `format` is empty where the file's ending decides; `column_names` names the columns of
    text without a header, and keys of JSON Lines that the first lines may lack."""

    format: str = ""
    delimiter: str = ","
    column_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Rows of one table from the members whose whole path `members` matches; `where` says which lines become a row.

    `columns` and `features` hold an SQL expression by name; source columns whose whole name `keep_features` matches
    are put into `features` as they are. `allow_user_columns` names what user_id is made of and may yet be stored.
    `key` is the section's place in the file, as errors name it.
    """

    key: str
    table: Table
    members: re.Pattern[str]
    columns: Dictionary[str, str]
    received_at: str
    states_received_at: bool
    where: str = "true"
    keep_features: re.Pattern[str] | None = None
    features: Dictionary[str, str] = field(default_factory=dict)
    allow_user_columns: tuple[str, ...] = ()
    layout: Layout = Layout()


@dataclass(frozen=True)
class Mapping:
    """The sections of one mapping file, in its order, and the bytes they were read from."""

    path: Path
    content: bytes
    sections: tuple[Section, ...]

    def sections_of(self, member_path: str) -> list[Section]:
        """The sections that read a member, in the mapping's order."""
        return [section for section in self.sections if section.members.fullmatch(member_path)]

    def reads(self, member_path: str) -> bool:
        """Does any section read this member?"""
        return bool(self.sections_of(member_path))

    def layout_of(self, member_path: str) -> Layout:
        """How a member is read. Raises MappingError when its sections disagree, or nothing says its format."""
        first, *others = self.sections_of(member_path)
        layout = self._resolved(first, member_path)
        for section in others:
            if self._resolved(section, member_path) != layout:
                raise MappingError(
                    f"{self.path}: {first.key} and {section.key} both read {member_path}, "
                    "but their format, delimiter or column_names differ"
                )
        return layout

    def _resolved(self, section: Section, member_path: str) -> Layout:
        layout = section.layout
        if not layout.format:
            layout = replace(layout, format=_format_by_ending(member_path))
        if not layout.format:
            endings = ", ".join(ending for known in FORMATS.values() for ending in known)
            raise MappingError(
                f"{self.path}: {section.key}.format is missing, and {member_path} ends in none of {endings} "
                f"(or these with {' or '.join(PACKED)})"
            )
        if layout.format == "parquet" and layout.column_names:
            raise MappingError(
                f"{self.path}: {section.key}.column_names: {member_path} is Parquet, which has names of its own"
            )
        return replace(layout, delimiter="\t") if layout.format == "tsv" else layout


def load_mapping(path: Path) -> Mapping:
    """The mapping of a TOML file; raises MappingError."""
    try:
        content = path.read_bytes()
        tables = tomllib.loads(content.decode())
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise MappingError(f"{path}: not valid TOML: {error}") from None
    sections = []
    for name, given in tables.items():
        if name not in LANDED:
            raise MappingError(f"{path}: unknown table {name}; known: {', '.join(LANDED)}")
        if not isinstance(given, list) or not all(isinstance(section, dict) for section in given):
            raise MappingError(f"{path}: {name} must be a list of sections, each headed [[{name}]]")
        for number, section in enumerate(given, 1):
            key = name if len(given) == 1 else f"{name}[{number}]"
            sections.append(_section(f"{path}: {key}", key, LANDED[name], section))
    if not sections:
        raise MappingError(f"{path}: maps no table; known: {', '.join(LANDED)}")
    return Mapping(path, content, tuple(sections))


def _section(where: str, key: str, table: Table, given: Dictionary[str, Any]) -> Section:
    for name in given:
        if name not in SECTION_KEYS:
            raise MappingError(f"{where}.{name}: unknown key; known: {', '.join(SECTION_KEYS)}")
    columns = _columns(where, table, _texts(where, given, "columns"))
    features = _texts(where, given, "features")
    keep_features = _pattern(where, given, "keep_features") if "keep_features" in given else None
    if (features or keep_features) and "features" not in table.column_names:
        raise MappingError(f"{where}: {table.name} has no column features")
    return Section(
        key=key,
        table=table,
        members=_pattern(where, given, "members"),
        columns=columns,
        received_at=_received_at(where, given, columns, table),
        states_received_at="received_at" in given,
        where=_text(where, given, "where") if "where" in given else "true",
        keep_features=keep_features,
        features=features,
        allow_user_columns=_names(where, given, "allow_user_columns"),
        layout=_layout(where, given),
    )


def _layout(where: str, given: Dictionary[str, Any]) -> Layout:
    stated = given.get("format", "")
    if "format" in given and stated not in FORMATS:
        raise MappingError(f"{where}.format is {stated!r}; known: {', '.join(FORMATS)}")
    delimiter = given.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter.encode()) != 1 or delimiter in '"\r\n':
        raise MappingError(f"{where}.delimiter is {delimiter!r}, not one character of ASCII but a quote or line end")
    if "delimiter" in given and stated not in ("", "csv"):
        raise MappingError(f"{where}.delimiter: {stated} has none to state")
    return Layout(stated, delimiter, _names(where, given, "column_names"))


def _format_by_ending(member_path: str) -> str:
    path = member_path.lower()
    for packed in PACKED:
        path = path.removesuffix(packed)
    return next((name for name, endings in FORMATS.items() if path.endswith(endings)), "")


def _names(where: str, given: Dictionary[str, Any], key: str) -> tuple[str, ...]:
    names = given.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise MappingError(f"{where}.{key} is {names!r}, not a list of names")
    return tuple(names)


def _columns(where: str, table: Table, columns: Dictionary[str, str]) -> Dictionary[str, str]:
    known = {column.name: column for column in table.event_columns if column.name != "features"}
    for name in columns:
        if name not in known:
            raise MappingError(f"{where}.columns.{name}: no column of {table.name}; known: {', '.join(known)}")
    for name, column in known.items():
        if name not in columns and column.is_required:
            raise MappingError(f"{where}.columns: {name} is missing, and {table.name} has no default for it")
    return columns


def _received_at(where: str, given: Dictionary[str, Any], columns: Dictionary[str, str], table: Table) -> str:
    if "received_at" in given:
        return _text(where, given, "received_at")
    if table.own_time:
        return columns[table.own_time]
    raise MappingError(f"{where}.received_at is missing, and the table has no time of its own to take instead")


def _text(where: str, given: Dictionary[str, Any], key: str) -> str:
    text = given.get(key)
    if not isinstance(text, str) or not text.strip():
        raise MappingError(f"{where}.{key} is {text!r}, not text" if key in given else f"{where}.{key} is missing")
    return text


def _texts(where: str, given: Dictionary[str, Any], key: str) -> Dictionary[str, str]:
    texts = given.get(key, {})
    if not isinstance(texts, dict):
        raise MappingError(f"{where}.{key} is {texts!r}, not a section")
    return {name: _text(f"{where}.{key}", texts, name) for name in texts}


def _pattern(where: str, given: Dictionary[str, Any], key: str) -> re.Pattern[str]:
    text = _text(where, given, key)
    try:
        return re.compile(text)
    except re.error as error:
        raise MappingError(f"{where}.{key}: not a regular expression: {error}") from None
