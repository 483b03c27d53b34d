"""POST /event/impression, /event/click, /catalog/ads, /catalog/users: one object or an array of them, durably.

201 new, 200 the same id with the same content again, 409 the same id with other content (both as far back as the
window knows), 422 breaks the contract, 503 not stored. Of an item that is not answered with 201 nothing is stored. What
is told of an ad or a user replaces what was told before, so there 409 does not occur.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial

import msgspec

from data_contracts.landing import EncodedRows
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.schema import Table
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, ADS, CLICKS, USERS
from serving.event_log import EventLog
from serving.event_rows import Broken, Row, RowReader
from serving.event_window import EventWindow, Write, content_of
from serving.problems import RETRY_AFTER, FieldError, ProblemError, Response, json_response, unavailable

TABLES: Mapping[str, Table] = {
    "/event/impression": AD_IMPRESSIONS,
    "/event/click": CLICKS,
    "/catalog/ads": ADS,
    "/catalog/users": USERS,
}
REMEMBERED_PSEUDONYMS = 100_000
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
    problem: str = ""


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

    async def collect(self, body: bytes) -> Response:
        """The answer, once what it acknowledges is on disk; raises ProblemError for a body refused as a whole."""
        now = self._clock.now()
        read = self._reader.read(body, now)
        intake = Intake()
        for item in read if isinstance(read, list) else [read]:
            self._judge(item, intake)
        if intake.write.contents:
            self._begin(intake, now)
        await self._settle(intake)
        return _array_answer(intake.answers) if isinstance(read, list) else _answer(intake.answers[0], intake.problem)

    def _judge(self, item: Row | Broken, intake: Intake) -> None:
        """Gives the item its answer, as it will be if the writes it hangs on succeed."""
        if isinstance(item, Broken):
            intake.answers.append(ItemAnswer(None, 422, errors=item.errors))
            return
        identity, content = item.identity, content_of(item.content)
        status, write = 201, intake.write
        held = intake.write.contents.get(identity)
        if held is None and (other := self._window.under_way(identity)) is not None:
            held, write = other.contents[identity], other
        known = held or self._window.known(identity)
        if known is not None:
            status = 200 if known == content else 201 if self._is_catalog else 409
        answer = ItemAnswer(identity if self._says_ids else None, status)
        if item.is_clock_skewed and status == 201:
            answer.flags = ("clock_skewed",)
        intake.answers.append(answer)
        if status == 201:
            if identity in intake.write.contents:
                intake.batches.append([])  # a later word on the same ad or user: known a moment later
            intake.write.contents[identity] = content
            intake.batches[-1].append(item.content)
        if status == 201 or held is not None:
            intake.waiting.append((answer, intake.write if status == 201 else write))

    def _begin(self, intake: Intake, now: datetime) -> None:
        """Hands the new rows to the log."""
        write = intake.write
        self._window.begin(write)
        try:
            write.stored = self._log.store(
                [EncodedRows(self._table.name, self._received_at(now), rows) for rows in intake.batches],
                partial(self._window.settle, write),
            )
        except OSError as error:
            self._window.settle(write, False)
            intake.problem = error.strerror or type(error).__name__

    def _received_at(self, now: datetime) -> datetime:
        """Events of a request are known from `now`. What is told of an ad or a user is known later than all that was
        told before, even where the clock stands still: the newest counts."""
        if self._is_catalog:
            now = now if self._latest is None else max(now, self._latest + MICROSECOND)
            self._latest = now
        return now

    async def _settle(self, intake: Intake) -> None:
        """Waits for the writes; an answer that hangs on one that failed becomes 503."""
        failed: set[Write] = set()
        for write in {write for _, write in intake.waiting}:
            try:
                if write.stored is None:
                    failed.add(write)
                else:
                    await (write.stored if write is intake.write else asyncio.shield(write.stored))
            except OSError as error:
                failed.add(write)
                intake.problem = error.strerror or type(error).__name__
        for answer, write in intake.waiting:
            if write in failed:
                answer.status, answer.flags = 503, ()


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


def collectors(settings: Settings, log: EventLog) -> Mapping[str, TableCollector]:
    """By path."""
    key = load_key(settings.pseudonym_key)
    pseudonym_of = lru_cache(REMEMBERED_PSEUDONYMS)(partial(pseudonym, key))
    return {path: TableCollector(table, settings, log, pseudonym_of) for path, table in TABLES.items()}
