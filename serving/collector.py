"""POST /event/impression, /event/click, /catalog/ads, /catalog/users: one object or an array of them, durably.

201 new, 200 the same id with the same content again, 409 the same id with other content (both as far back as the
window knows), 422 breaks the contract, 503 not stored. Of an item that is not answered with 201 nothing is stored. What
is told of an ad or a user replaces what was told before, so there 409 does not occur.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from data_contracts.landing import EncodedRows
from data_contracts.schema import Table
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, ADS, CLICKS, USERS
from serving.event_log import EventLog
from serving.event_rows import Items, RowReader
from serving.event_window import EventWindow, Write
from serving.problems import RETRY_AFTER, FieldError, ProblemError, Response, json_response, unavailable

TABLES: Mapping[str, Table] = {
    "/event/impression": AD_IMPRESSIONS,
    "/event/click": CLICKS,
    "/catalog/ads": ADS,
    "/catalog/users": USERS,
}
MICROSECOND = timedelta(microseconds=1)


class ItemAnswer(msgspec.Struct, omit_defaults=True):
    """What became of one item. `id` is null where it may not be said (a raw user id) or is none."""

    id: str | None
    status: int
    flags: tuple[str, ...] = ()
    errors: Sequence[FieldError] = ()


@dataclass
class Intake:
    """One request on its way: an answer an item, what is to be stored, and which answers hang on which write."""

    answers: list[ItemAnswer] = field(default_factory=list)
    write: Write = field(default_factory=Write)
    batches: list[list[bytes]] = field(default_factory=lambda: [[]])
    waiting: list[tuple[ItemAnswer, Write]] = field(default_factory=list)


class TableCollector:
    """Takes the rows of one table."""

    def __init__(self, table: Table, settings: Settings, log: EventLog, pseudonym_of: Callable[[str], str]) -> None:
        limits = settings.serving
        self._table, self._clock, self._log = table, settings.clock, log
        self._reader = RowReader(table, limits.event_batch_limit, limits.oldest_event_days, pseudonym_of)
        self._window = EventWindow(limits.event_window)
        self._is_catalog = "received_at" in table.key
        self._says_ids = table.key[0] != "user_id"
        self._latest: datetime | None = None

    def collect(self, body: bytes) -> Awaitable[Response]:
        """The answer, once what it acknowledges is on disk; raises ProblemError for a body refused as a whole."""
        now = self._clock.now()
        return self._collected(self._reader.read(body, now), now)

    async def _collected(self, items: Items, now: datetime) -> Response:
        if self._are_new_events(items):
            problem = await self._stored(Write(dict(zip(items.identities, items.rows, strict=True))), [items.rows], now)
            if not problem:
                return _all_new(items)
            answers = [ItemAnswer(identity, 503) for identity in items.identities]
        else:
            intake = Intake()
            for place in range(len(items.rows)):
                self._judge(items, place, intake)
            problem, answers = await self._settled(intake, now), intake.answers
        return _array_answer(answers) if items.is_array else _answer(answers[0], problem)

    def _are_new_events(self, items: Items) -> bool:
        """Is there nothing to tell them apart by? So it is with most bodies, and needs no look at each item."""
        if self._is_catalog or items.broken or items.skewed:
            return False
        identities = set(items.identities)
        return len(identities) == len(items.identities) and self._window.is_new_to_all(identities)

    def _judge(self, items: Items, place: int, intake: Intake) -> None:
        """Gives the item its answer, as it will be if the write it hangs on succeeds."""
        if place in items.broken:
            intake.answers.append(ItemAnswer(None, 422, errors=items.broken[place]))
            return
        identity, row, write = items.identities[place], items.rows[place], intake.write
        if identity not in write.rows:
            write = self._window.under_way(identity) or write
        held = write.rows.get(identity)
        known = held or self._window.known(identity)
        status = 201 if known is None else 200 if known == row else 201 if self._is_catalog else 409
        answer = ItemAnswer(identity if self._says_ids else None, status)
        intake.answers.append(answer)
        if status == 201:
            if place in items.skewed:
                answer.flags = ("clock_skewed",)
            if identity in intake.write.rows:
                intake.batches.append([])  # a later word on the same ad or user: known a moment later
            intake.write.rows[identity] = row
            intake.batches[-1].append(row)
            intake.waiting.append((answer, intake.write))
        elif held is not None:
            intake.waiting.append((answer, write))

    async def _stored(self, write: Write, batches: Sequence[list[bytes]], now: datetime) -> str:
        """Empty once the rows of `write` are on disk, else why they are not."""
        self._window.begin(write)
        try:
            await self._log.store(
                [EncodedRows(self._table.name, self._received_at(now), rows) for rows in batches],
                lambda error: self._window.settle(write, error is None),
            )
        except OSError as error:
            return error.strerror or type(error).__name__
        return ""

    def _received_at(self, now: datetime) -> datetime:
        """Events of a request are known from `now`. What is told of an ad or a user is known later than all that was
        told before, even where the clock stands still: the newest counts."""
        if self._is_catalog:
            now = now if self._latest is None else max(now, self._latest + MICROSECOND)
            self._latest = now
        return now

    async def _settled(self, intake: Intake, now: datetime) -> str:
        """Stores what is new and waits for the writes of others too. An answer that hangs on a write that failed
        becomes 503; returns why one did."""
        others = {write for _, write in intake.waiting} - {intake.write}
        failed, problem = set(), ""
        if intake.write.rows and (problem := await self._stored(intake.write, intake.batches, now)):
            failed.add(intake.write)
        for write in others:
            if not await write.ended_well():
                failed.add(write)
                problem = self._log.problem
        for answer, write in intake.waiting:
            if write in failed:
                answer.status, answer.flags = 503, ()
        return problem


def _all_new(items: Items) -> Response:
    """As _answer and _array_answer, for canonical ids that were all stored."""
    told = '","status":201},{"id":"'.join(items.identities)
    body = f'{{"id":"{told}","status":201}}'
    return Response(201, (f"[{body}]" if items.is_array else body).encode())


def _answer(answer: ItemAnswer, problem: str) -> Response:
    """For one object that stood by itself."""
    if answer.status == 409:
        raise ProblemError(409, "id_conflict", "this id was told before, with other content")
    if answer.status == 503:
        raise unavailable("event_not_stored", f"it could not be stored: {problem}")
    return json_response(answer, answer.status)


def _array_answer(answers: Sequence[ItemAnswer]) -> Response:
    statuses = {answer.status for answer in answers}
    status = statuses.pop() if len(statuses) == 1 else 207
    is_retried = status == 503 or 503 in statuses
    return Response(status, msgspec.json.encode(answers), headers=RETRY_AFTER if is_retried else None)


def collectors(settings: Settings, log: EventLog, pseudonym_of: Callable[[str], str]) -> Mapping[str, TableCollector]:
    """By path."""
    return {path: TableCollector(table, settings, log, pseudonym_of) for path, table in TABLES.items()}
