"""Feature sets loaded from their files, one each, and what makes a file none."""

import hashlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from data_contracts.counts import Count, Sum
from data_contracts.features import REQUEST_FIELDS, Feature, FeatureSet
from data_contracts.keys import check_key, key_name

ROOT = Path(__file__).resolve().parent.parent
FEATURE_SETS = ROOT / "data_contracts" / "feature_sets"
Kind = TypeVar("Kind")


class FeatureSetError(ValueError):
    """A feature set file that cannot be used; the message names file, function and parameter."""


def feature_set_path(name: str) -> Path:
    """The file of a feature set that conf names: one of ours by its stem, or any path ending in .py, which is meant
    from the repository's root unless it is absolute."""
    return ROOT / name if name.endswith(".py") else FEATURE_SETS / f"{name}.py"


def load_feature_set(path: Path) -> FeatureSet:
    """The feature set of one self-contained file, loaded under a name that holds its hash, so that two versions of it
    live side by side in one process. Raises FeatureSetError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FeatureSetError(f"{path}: {error.strerror}") from None
    digest = hashlib.sha256(text).hexdigest()
    module = _module(path, text, f"feature_set_{path.stem}_{digest[:16]}")
    counts, sums = _of(path, module, "COUNTS", Count), _of(path, module, "SUMS", Sum)
    if not counts:
        raise FeatureSetError(f"{path}: COUNTS must be a tuple of Count, of one at least")
    numbers = _numbers(path, module)
    names = [*REQUEST_FIELDS, *map(key_name, numbers), *(each.name for each in counts), *(each.name for each in sums)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise FeatureSetError(f"{path}: COUNTS, NUMBERS, SUMS hold two inputs of one name: {', '.join(sorted(twice))}")
    functions = _functions(path, module, {*names})
    steps, rising, falling = (frozenset(getattr(module, name, ())) for name in ("STEPS", "RISING", "FALLING"))
    base = getattr(module, "BASE", None)
    if strange := steps - {each.name for each in functions}:
        raise FeatureSetError(f"{path}: STEPS names no function: {', '.join(sorted(strange))}")
    named = rising | falling | ({base} if base is not None else set())
    if strange := named - {each.name for each in functions} | named & steps:
        raise FeatureSetError(f"{path}: RISING, FALLING or BASE names no feature: {', '.join(sorted(strange))}")
    if both := rising & falling:
        raise FeatureSetError(f"{path}: RISING and FALLING both name {', '.join(sorted(both))}")
    if steps == {each.name for each in functions}:
        raise FeatureSetError(f"{path}: defines no feature function")
    found = FeatureSet(path.stem, digest, path, counts, functions, numbers, steps, base, rising, falling, sums)
    _check_sums(found)
    return found


def _check_sums(found: FeatureSet) -> None:
    """A sum must not need itself, nor another, to be made."""
    names = {each.name for each in found.sums}
    if strange := {each.feature for each in found.sums} - {each.name for each in found.functions}:
        raise FeatureSetError(f"{found.path}: SUMS names no function: {', '.join(sorted(strange))}")
    if names and all(count.keys for count in found.counts):
        raise FeatureSetError(f"{found.path}: SUMS need a count without keys among COUNTS")
    for each in found.summed.functions:
        if needs := names & {*each.parameters}:
            raise FeatureSetError(f"{found.path}: {each.name} needs {', '.join(sorted(needs))}: it cannot be summed")


def _of(path: Path, module: ModuleType, name: str, kind: type[Kind]) -> tuple[Kind, ...]:
    """What the file lists under `name`; a tuple of one that lacks its comma is none."""
    listed = getattr(module, name, ())
    if not isinstance(listed, tuple | list) or not all(isinstance(each, kind) for each in listed):
        raise FeatureSetError(f"{path}: {name} must be a tuple of {kind.__name__}")
    return tuple(listed)


def _numbers(path: Path, module: ModuleType) -> tuple[str, ...]:
    numbers = tuple(getattr(module, "NUMBERS", ()))
    for key in numbers:
        try:
            check_key(key)
        except ValueError as error:
            raise FeatureSetError(f"{path}: NUMBERS: {error}") from None
    return numbers


def _module(path: Path, text: bytes, name: str) -> ModuleType:
    """The module that `text` makes: compiled here, since an importer would take cached bytecode of an earlier version
    whose size and second of change are the same."""
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    try:
        exec(compile(text, path, "exec"), vars(module))
    except Exception as error:
        raise FeatureSetError(f"{path}: {error}") from error
    sys.modules[name] = module
    return module


def _functions(path: Path, module: ModuleType, inputs: set[str]) -> tuple[Feature, ...]:
    known, features = set(inputs), []
    for name, function in vars(module).items():
        if not inspect.isfunction(function) or function.__module__ != module.__name__ or name.startswith("_"):
            continue
        parameters = tuple(inspect.signature(function).parameters)
        for parameter in parameters:
            if parameter not in known:
                raise FeatureSetError(
                    f"{path}: {name}({parameter}): no request field, number, count, sum, earlier feature of that name; "
                    f"known: {', '.join(sorted(known))}"
                )
        features.append(Feature(name, (function.__doc__ or "").strip(), function, parameters))
        known.add(name)
    if not features:
        raise FeatureSetError(f"{path}: defines no feature function")
    return tuple(features)
