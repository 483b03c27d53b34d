"""Rows on disk before their answers are given: asyncio's side of serving's one group commit."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from data_contracts.group_commit import GroupCommit, QueueFullError
from data_contracts.landing import EncodedRows, LandingWriter
from data_contracts.settings import Settings

LOGGER = logging.getLogger(__name__)
PRODUCER = "serving"
NEARLY_FULL = 0.9

Settled = Callable[[Exception | None], None]
"""Is told how a write ended: None is well."""


class Waiting(NamedTuple):
    """Whom to tell, and in which event loop; nobody without one."""

    loop: asyncio.AbstractEventLoop | None
    settled: Sequence[Settled]


class EventLog:
    """Serving's landing segments: predictions and events alike. Of one event loop."""

    def __init__(self, settings: Settings) -> None:
        limits = settings.serving
        self._limit_bytes = limits.log_queue_bytes
        self._round: list[tuple[Sequence[EncodedRows], Settled]] = []

        def opened() -> LandingWriter:
            return LandingWriter(settings.landing, PRODUCER, limits.segment_limit_bytes, limits.segment_limit_seconds)

        seal_check_seconds = limits.segment_limit_seconds / 4
        self._commit = GroupCommit[Waiting](opened, self._tell, limits.log_queue_bytes, seal_check_seconds)

    @property
    def problem(self) -> str:
        """The error of the last attempt to write, or empty."""
        return self._commit.problem

    @property
    def waiting_bytes(self) -> int:
        """What waits for the disk."""
        return self._commit.waiting_bytes

    @property
    def is_nearly_full(self) -> bool:
        return self.waiting_bytes > NEARLY_FULL * self._limit_bytes

    @property
    def is_half_full(self) -> bool:
        """What nobody waits for should wait then."""
        return 2 * self.waiting_bytes > self._limit_bytes

    def start(self) -> None:
        self._commit.start()

    def stop(self, timeout: float) -> None:
        """Writes what is waiting and seals the open segment."""
        self._commit.stop(timeout)

    def submit(self, batches: Sequence[EncodedRows], settled: Settled) -> None:
        """`settled` is called in the running event loop, after this has returned: once all of `batches` are on disk, or
        with the error for which none of them counts as stored."""
        if not self._round:
            asyncio.get_running_loop().call_soon(self.submit_round)
        self._round.append((batches, settled))

    def submit_round(self) -> None:
        """All of one round of the event loop at once: each by itself would wake the writer, which then stands in the
        way of the next, and would have a sync of its own. At once, where it is known that no more comes."""
        if not self._round:
            return
        loop, round_ = asyncio.get_running_loop(), self._round
        self._round = []
        try:
            together = [batch for batches, _ in round_ for batch in batches]
            self._commit.submit(together, Waiting(loop, [settled for _, settled in round_]))
        except QueueFullError:
            for batches, settled in round_:
                self._submit_alone(loop, batches, settled)

    def _submit_alone(self, loop: asyncio.AbstractEventLoop, batches: Sequence[EncodedRows], settled: Settled) -> None:
        """What does not fit together may fit in part."""
        try:
            self._commit.submit(batches, Waiting(loop, [settled]))
        except QueueFullError as error:
            loop.call_soon(settled, error)

    @staticmethod
    def _tell(group: Sequence[Waiting], error: Exception | None) -> None:
        """For the thread that writes: each event loop is woken once."""
        by_loop: dict[asyncio.AbstractEventLoop, list[Settled]] = {}
        for waiting in group:
            if waiting.loop is not None:
                by_loop.setdefault(waiting.loop, []).extend(waiting.settled)
        for loop, settled in by_loop.items():
            loop.call_soon_threadsafe(_tell_all, settled, error)

    def append(self, batches: Sequence[EncodedRows]) -> None:
        """For rows that nobody waits for; from any thread. QueueFullError when they are not taken."""
        self._commit.submit(batches, Waiting(None, ()))

    async def store(self, batches: Sequence[EncodedRows], settled: Settled | None = None) -> None:
        """Returns once all of `batches` are on disk; OSError when none of them counts as stored. `settled` is told
        first, also where the request was given up meanwhile."""
        stored = asyncio.get_running_loop().create_future()

        def tell(error: Exception | None) -> None:
            if settled is not None:
                settled(error)
            if stored.done():
                return
            if error is None:
                stored.set_result(None)
            else:
                stored.set_exception(error)

        self.submit(batches, tell)
        await stored


def _tell_all(settled: Sequence[Settled], error: Exception | None) -> None:
    for tell in settled:
        try:
            tell(error)
        except Exception:
            LOGGER.exception("somebody could not be told how a write ended")
