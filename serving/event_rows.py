"""Bodies of POST /event/* and /catalog/* read into canonical rows, item by item, or into what is wrong with each.

A row is our own re-serialisation, never the client's bytes: keys sorted, times in UTC, features as text, the user by
pseudonym; what is null or equals the contract's default is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from data_contracts.landed_tables import CLOCK_SKEW
from data_contracts.schema import Table
from serving.event_types import request_type
from serving.problems import FieldError, ProblemError, invalid
from serving.requests import JSON_ERRORS, feature_text, refusal, refuse_nul

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
FURTHEST_AHEAD = timedelta(hours=24)
SKEW = timedelta(seconds=CLOCK_SKEW)
FEATURES_LIMIT_BYTES = 16384

ENCODER = msgspec.json.Encoder(order="deterministic")
RAW_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(slots=True)
class Row:
    """An item that keeps the contract: the value of its table's id column, and the row as it is stored."""

    identity: str
    content: bytes
    is_clock_skewed: bool


@dataclass(slots=True)
class Broken:
    """An item that does not."""

    errors: Sequence[FieldError]


@dataclass(frozen=True)
class Times:
    """When an event may have happened, seen from the instant it comes in."""

    earliest: datetime
    skewed_after: datetime
    latest: datetime

    @classmethod
    def around(cls, now: datetime, oldest_days: int) -> "Times":
        earliest = EARLIEST if oldest_days > (now - EARLIEST).days else now - timedelta(days=oldest_days)
        return cls(earliest, now + SKEW, now + FURTHEST_AHEAD)


class RowReader:
    """Reads the bodies meant for one table."""

    def __init__(self, table: Table, batch_limit: int, oldest_days: int, pseudonym_of: Callable[[str], str]) -> None:
        event = request_type(table)
        self._decoder = msgspec.json.Decoder(event | list[event])  # type: ignore[valid-type]
        self._item_decoder = msgspec.json.Decoder(event)
        self._batch_limit, self._oldest_days, self._pseudonym_of = batch_limit, oldest_days, pseudonym_of
        self._key, self._time = table.key[0], table.own_time
        self._has_user = "user_id" in table.column_names
        self._has_features = "features" in table.column_names
        self._defaults = [
            (column.name, column.default)
            for column in table.event_columns
            if column.type == "STRING" and column.default is not None
        ]
        self._default_marks = [f'"{default}"'.encode() for default in {default for _, default in self._defaults}]

    def read(self, body: bytes, now: datetime) -> Row | list[Row | Broken]:
        """One row, or a list with an entry for each item of an array. Raises ProblemError 400 where there is no JSON,
        413 or 422 where there are too many items or none, 422 where one object breaks the contract."""
        times = Times.around(now, self._oldest_days)
        try:
            decoded = self._decoder.decode(body)
        except JSON_ERRORS as error:
            return self._each(body, times, refusal(body, error))
        if b"\\u0000" in body:
            return self._each(body, times, None)
        events = decoded if isinstance(decoded, list) else [decoded]
        if b"\\u" in body or any(mark in body for mark in self._default_marks):
            for event in events:
                self._leave_out_defaults(event)
        if not isinstance(decoded, list):
            return self._row(decoded, times)
        self._check_length(decoded)
        return [self._row_or_broken(event, times) for event in decoded]

    def _each(self, body: bytes, times: Times, problem: ProblemError | None) -> Row | list[Row | Broken]:
        """As `read`, for a body that cannot be taken whole; `problem` is what is wrong with it."""
        value = None if problem is not None and problem.status == 400 else msgspec.json.decode(body)
        if isinstance(value, list):
            self._check_length(value)
            return [self._item_or_broken(bytes(item), times) for item in RAW_ITEMS.decode(body)]
        if problem is not None:
            raise problem
        return self._item(body, times)

    def _check_length(self, items: Sequence[Any]) -> None:
        if len(items) > self._batch_limit:
            raise ProblemError(413, "too_many_events", f"at most {self._batch_limit} in one array")
        if not items:
            raise invalid("body", "empty_array")

    def _item_or_broken(self, item: bytes, times: Times) -> Row | Broken:
        try:
            return self._item(item, times)
        except ProblemError as problem:
            return Broken(problem.errors)

    def _item(self, item: bytes, times: Times) -> Row:
        """The row of one JSON object, in the order of checks: types, then NUL, then values."""
        try:
            event = self._item_decoder.decode(item)
        except JSON_ERRORS as error:
            raise refusal(item, error) from None
        refuse_nul(msgspec.json.decode(item), "")
        self._leave_out_defaults(event)
        return self._row(event, times)

    def _leave_out_defaults(self, event: Any) -> None:
        """msgspec knows a default by identity, so text that equals one is made that one."""
        for name, default in self._defaults:
            if getattr(event, name) == default:
                setattr(event, name, default)

    def _row_or_broken(self, event: Any, times: Times) -> Row | Broken:
        try:
            return self._row(event, times)
        except ProblemError as problem:
            return Broken(problem.errors)

    def _row(self, event: Any, times: Times) -> Row:
        """The row of a decoded event, whose fields are made canonical in place; raises ProblemError 422."""
        is_clock_skewed = False
        if self._time is not None:
            happened = getattr(event, self._time)
            if not times.earliest <= happened <= times.latest:
                raise invalid(self._time, "too_old" if happened < times.earliest else "too_far_ahead")
            is_clock_skewed = happened > times.skewed_after
            setattr(event, self._time, _instant_text(happened))
        if self._has_user and event.user_id is not None:
            event.user_id = self._pseudonym_of(event.user_id)
        if self._has_features and event.features:
            event.features = {name: feature_text(value) for name, value in event.features.items()}
        content = ENCODER.encode(event)
        if len(content) > FEATURES_LIMIT_BYTES and len(ENCODER.encode(event.features)) > FEATURES_LIMIT_BYTES:
            raise invalid("features", "too_large")
        return Row(getattr(event, self._key), content, is_clock_skewed)


def _instant_text(instant: datetime) -> str:
    """As data_contracts.landing.instant_text, in a fifth of its time."""
    text = ENCODER.encode(instant.astimezone(UTC)).decode()
    return text[1:-1] if len(text) == 29 else f"{text[1:20]}.000000Z"
