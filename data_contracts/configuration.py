"""TOML files read into frozen dataclasses: a base and its overlays; an unknown key is an error."""

import tomllib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

CONF = Path(__file__).resolve().parent.parent / "conf"


class ConfigurationError(ValueError):
    """A configuration file that cannot be used; the message names file and key."""


def configured(kind: Any, base: Path, *overlays: Path, **given: Any) -> Any:
    """A `kind` from the keys of `base`, replaced by those of each overlay in turn, and what is `given` beside them.

    Raises ConfigurationError on an unknown or missing key, a wrong type, or a file that is not TOML.
    """
    tables = _read(base)
    origins = defaultdict[str, Path](lambda: base)
    for overlay in overlays:
        changes = _read(overlay)
        origins |= dict.fromkeys(_keys(changes), overlay)
        tables = _overlaid(tables, changes)
    return _value(kind, {**given, **tables}, "", origins)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None


def _keys(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    own = [prefix + key for key in table]
    return own + [
        inner for key, value in table.items() if isinstance(value, dict) for inner in _keys(value, f"{prefix}{key}.")
    ]


def _overlaid(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(under.get(key), dict)
        merged[key] = _overlaid(under[key], value) if nested else value
    return merged


def _value(kind: Any, given: Any, key: str, origins: Mapping[str, Path]) -> Any:
    """`given` as `kind`, a dataclass or a plain type, or a ConfigurationError that names file and key."""
    where = f"{origins[key]}: {key}"
    if is_dataclass(kind):
        return _section(kind, given, key, origins, where)
    if kind == tuple[str, ...]:
        if isinstance(given, list) and all(isinstance(item, str) for item in given):
            return tuple(given)
        raise ConfigurationError(f"{where} is {given!r}, not a list of strings")
    if kind is float and type(given) is int:
        return float(given)
    if not isinstance(given, kind) or (kind is int and isinstance(given, bool)):
        raise ConfigurationError(f"{where} is {given!r}, not {'text' if kind is str else kind.__name__}")
    return given


def _section(kind: Any, given: Any, key: str, origins: Mapping[str, Path], where: str) -> Any:
    if not isinstance(given, dict):
        raise ConfigurationError(f"{where} is {given!r}, not a section")
    types, prefix = get_type_hints(kind), f"{key}." if key else ""
    known = [field.name for field in fields(kind)]
    for name in given:
        if name not in known:
            file = origins[prefix + name]
            raise ConfigurationError(f"{file}: unknown key {prefix + name}; known here: {', '.join(known)}")
    for name in known:
        if name not in given:
            raise ConfigurationError(f"{origins[prefix]}: missing key {prefix + name}")
    values = {name: _value(types[name], given[name], prefix + name, origins) for name in known}
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigurationError(f"{where}.{error}") from None
