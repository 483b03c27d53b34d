"""Bodies of POST /event/* and /catalog/* read into canonical rows, or into what is wrong with each item.

A row is our own re-serialisation, never the client's bytes: keys sorted, times in UTC, features as text, the user by
pseudonym; what is null or equals the contract's default is left out. Rows are made column by column: an array of good
events, which is what comes, costs a few calls into C and little Python an event.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from data_contracts.landed_tables import CLOCK_SKEW
from data_contracts.schema import Table
from serving.event_types import UUIDS, are_canonical_uuids, request_type
from serving.problems import FieldError, ProblemError, invalid
from serving.requests import FEATURE_TEXTS, JSON_ERRORS, refusal, refuse_nul

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
FURTHEST_AHEAD = timedelta(hours=24)
SKEW = timedelta(seconds=CLOCK_SKEW)
FEATURES_LIMIT_BYTES = 16384

ENCODER = msgspec.json.Encoder(order="deterministic")
RAW_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(slots=True)
class Items:
    """The items of a body in order: the value of each one's id column and its row, both empty for a broken one, whose
    errors are in `broken` by its place. `skewed` holds the places of events too far ahead of the clock to be right."""

    identities: list[str]
    rows: list[bytes]
    is_array: bool
    skewed: set[int] = field(default_factory=set)
    broken: dict[int, Sequence[FieldError]] = field(default_factory=dict)


class Times(NamedTuple):
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
        self._time = table.own_time
        self._identity_of = attrgetter(table.key[0])
        self._uuids = [(name, attrgetter(name)) for name in table.column_names if name in UUIDS]
        self._has_user = "user_id" in table.column_names
        self._has_features = "features" in table.column_names
        texts = [column for column in table.event_columns if column.type == "STRING"]
        self._defaults = [(column.name, column.default) for column in texts if column.default is not None]
        self._default_marks = [f'"{default}"'.encode() for default in {default for _, default in self._defaults}]

    def read(self, body: bytes, now: datetime) -> Items:
        """Raises ProblemError 400 where there is no JSON, 413 or 422 where there are too many items or none, 422 where
        one object breaks the contract."""
        times = Times.around(now, self._oldest_days)
        try:
            decoded = self._decoder.decode(body)
        except JSON_ERRORS as error:
            return self._each(body, times, refusal(body, error))
        has_escapes = b"\\" in body
        if has_escapes and b"\\u0000" in body:
            return self._each(body, times, None)
        events = decoded if isinstance(decoded, list) else [decoded]
        if decoded is events:
            self._check_length(events)
        if has_escapes or any(mark in body for mark in self._default_marks):
            self._leave_out_defaults(events)
        try:
            return self._items(events, times, decoded is events)
        except ProblemError as problem:
            return self._each(body, times, problem)

    def _each(self, body: bytes, times: Times, problem: ProblemError | None) -> Items:
        """As `read`, item by item, for a body that cannot be taken whole; `problem` is what is wrong with it."""
        value = None if problem is not None and problem.status == 400 else msgspec.json.decode(body)
        if not isinstance(value, list):
            if problem is not None:
                raise problem
            return self._item(body, times)
        self._check_length(value)
        items = Items([], [], is_array=True)
        for place, raw in enumerate(RAW_ITEMS.decode(body)):
            try:
                item = self._item(bytes(raw), times)
            except ProblemError as refused:
                items.broken[place] = refused.errors
                item = Items([""], [b""], is_array=False)
            items.identities += item.identities
            items.rows += item.rows
            items.skewed.update(place for _ in item.skewed)
        return items

    def _check_length(self, items: Sequence[Any]) -> None:
        if len(items) > self._batch_limit:
            raise ProblemError(413, "too_many_events", f"at most {self._batch_limit} in one array")
        if not items:
            raise invalid("body", "empty_array")

    def _item(self, item: bytes, times: Times) -> Items:
        """One JSON object, in the order of checks: types, then NUL, then values."""
        try:
            event = self._item_decoder.decode(item)
        except JSON_ERRORS as error:
            raise refusal(item, error) from None
        refuse_nul(msgspec.json.decode(item), "")
        self._leave_out_defaults([event])
        return self._items([event], times, is_array=False)

    def _leave_out_defaults(self, events: Sequence[Any]) -> None:
        """msgspec knows a default by identity, so text that equals one is made that one."""
        for name, default in self._defaults:
            for event in events:
                if getattr(event, name) == default:
                    setattr(event, name, default)

    def _items(self, events: Sequence[Any], times: Times, is_array: bool) -> Items:
        """Decoded events as rows, their fields made canonical in place. Raises ProblemError 422 at the first that has a
        wrong value."""
        for name, text_of in self._uuids:
            if not are_canonical_uuids(list(map(text_of, events))):
                raise invalid(name, "not_a_canonical_uuid")
        skewed = self._with_canonical_times(events, times) if self._time is not None else set()
        if self._has_user:
            for event in events:
                if event.user_id is not None:
                    event.user_id = self._pseudonym_of(event.user_id)
        if self._has_features:
            for event in events:
                if event.features:
                    event.features = {name: FEATURE_TEXTS[type(value)](value) for name, value in event.features.items()}
        rows = ENCODER.encode_lines(events).splitlines()
        may_be_large = self._has_features and max(map(len, rows)) > FEATURES_LIMIT_BYTES
        if may_be_large and any(len(ENCODER.encode(event.features)) > FEATURES_LIMIT_BYTES for event in events):
            raise invalid("features", "too_large")
        return Items(list(map(self._identity_of, events)), rows, is_array, skewed)

    def _with_canonical_times(self, events: Sequence[Any], times: Times) -> set[int]:
        """Makes the time of each event the text it is stored as; returns the places of those that are skewed."""
        assert self._time is not None
        happened = [getattr(event, self._time) for event in events]
        if min(happened) < times.earliest:
            raise invalid(self._time, "too_old")
        skewed = set()
        if (newest := max(happened)) > times.skewed_after:
            if newest > times.latest:
                raise invalid(self._time, "too_far_ahead")
            skewed = {place for place, instant in enumerate(happened) if instant > times.skewed_after}
        for event, text in zip(events, instant_texts(happened), strict=True):
            setattr(event, self._time, text)
        return skewed


def instant_texts(instants: Sequence[datetime]) -> list[str]:
    """Each as data_contracts.landing.instant_text writes it, in a fraction of the time."""
    in_utc = [instant.astimezone(UTC) for instant in instants]
    texts = ENCODER.encode(in_utc).decode()[2:-2].split('","')
    return [text if len(text) == 27 else f"{text[:19]}.000000Z" for text in texts]
