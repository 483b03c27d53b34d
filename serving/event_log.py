"""Rows on disk before their answers are given: asyncio's side of serving's one group commit."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from data_contracts.group_commit import GroupCommit
from data_contracts.landing import EncodedRows, LandingWriter
from data_contracts.settings import Settings

PRODUCER = "serving"

Settled = Callable[[bool], None]


class Waiting(NamedTuple):
    """Whom to tell how a write ended: first `settled`, which outlives a request that was given up, then the future."""

    loop: asyncio.AbstractEventLoop
    stored: "asyncio.Future[None]"
    settled: Settled | None


class EventLog:
    """Serving's landing segments: predictions and events alike."""

    def __init__(self, settings: Settings) -> None:
        limits = settings.serving

        def opened() -> LandingWriter:
            return LandingWriter(settings.landing, PRODUCER, limits.segment_limit_bytes, limits.segment_limit_seconds)

        seal_check_seconds = limits.segment_limit_seconds / 4
        self._commit = GroupCommit[Waiting](opened, _tell, limits.log_queue_bytes, seal_check_seconds)

    @property
    def problem(self) -> str:
        """The error of the last attempt to write, or empty."""
        return self._commit.problem

    def start(self) -> None:
        self._commit.start()

    def stop(self, timeout: float) -> None:
        """Writes what is waiting and seals the open segment."""
        self._commit.stop(timeout)

    def store(self, batches: Sequence[EncodedRows], settled: Settled | None = None) -> "asyncio.Future[None]":
        """Done once all of `batches` are on disk; its OSError says that none of them counts as stored. Raises
        QueueFullError at once. `settled` is called with the outcome in the event loop, before anyone who waits."""
        loop = asyncio.get_running_loop()
        stored = loop.create_future()
        self._commit.submit(batches, Waiting(loop, stored, settled))
        return stored


def _tell(group: Sequence[Waiting], error: Exception | None) -> None:
    for loop in {waiting.loop for waiting in group}:
        loop.call_soon_threadsafe(_settle, [waiting for waiting in group if waiting.loop is loop], error)


def _settle(group: Sequence[Waiting], error: Exception | None) -> None:
    for waiting in group:
        if waiting.settled is not None:
            waiting.settled(error is None)
        if waiting.stored.done():
            continue
        if error is None:
            waiting.stored.set_result(None)
        else:
            waiting.stored.set_exception(error)
