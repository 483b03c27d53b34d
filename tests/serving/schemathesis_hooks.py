"""Keeps generated bodies within what JSON Schema cannot say: an event is of now, and a position has no fraction."""

from datetime import datetime
from typing import Any

import schemathesis

ACTIVATE = "/model/activate/{version}"
DAY_BEFORE = "2019-11-29"
"""The clock of the serving that is asked stands at noon of the day after."""


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    case.body = _mended(case.body)


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """To activate a version that is a number takes no more: without a body nothing is wrong with what is generated as
    wrong, since a header is text whatever it is."""
    is_bare = not isinstance(case.body, dict | list | str | bytes | int | float | bool) and case.body is not None
    return not (is_bare and case.path == ACTIVATE and str((case.path_parameters or {}).get("version", "")).isdigit())


def _mended(value: Any) -> Any:
    if isinstance(value, list):
        return [_mended(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    mended = {name: _mended(inner) for name, inner in value.items()}
    if isinstance(position := mended.get("position"), float) and position.is_integer():
        mended["position"] = int(position)  # to JSON Schema 2.0 is an integer, to serving it is none
    if _is_time(at := mended.get("timestamp")):
        mended["timestamp"] = DAY_BEFORE + at[len(DAY_BEFORE) :]
    return mended


def _is_time(value: Any) -> bool:
    try:
        return value[10] == "T" and datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError, LookupError):
        return False
