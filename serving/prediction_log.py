"""Prediction records on disk before their answers are given: a thread that appends to landing, group by group.

What arrives while one append syncs is written by the next one together; there is no delay to gather more.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Sequence
from typing import NamedTuple

from data_contracts.landing import Event, LandingWriter
from data_contracts.settings import Settings

LOGGER = logging.getLogger(__name__)
PRODUCER = "serving"


class Waiting(NamedTuple):
    """The records of one request, and whom to tell once they are on disk."""

    events: Sequence[Event]
    loop: asyncio.AbstractEventLoop
    stored: "asyncio.Future[None]"


class PredictionLog:
    """Owns serving's landing segments. `problem` is the error of the last attempt to write, or empty."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._writer: LandingWriter | None = None
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self.problem = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Writes what is waiting and seals the open segment."""
        self._queue.put(None)
        self._thread.join(timeout)

    async def store(self, events: Sequence[Event]) -> None:
        """Returns once `events` are on disk; raises OSError when they could not be written."""
        loop = asyncio.get_running_loop()
        stored = loop.create_future()
        self._queue.put(Waiting(events, loop, stored))
        await stored

    def _run(self) -> None:
        self._prepare()
        is_open = True
        while is_open:
            group = self._arrived()
            is_open = None not in group
            if waiting := [one for one in group if one is not None]:
                self._write(waiting)
            self._seal_due()
        self._close()

    def _arrived(self) -> list[Waiting | None]:
        """All that waits in the queue; empty when nothing came within a part of the time that a segment stays open."""
        group: list[Waiting | None] = []
        try:
            group.append(self._queue.get(timeout=self._settings.serving.segment_limit_seconds / 4))
            while True:
                group.append(self._queue.get_nowait())
        except queue.Empty:
            return group

    def _prepare(self) -> None:
        """Opening recovers what a killed process left, so it does not wait for the first prediction."""
        try:
            self._opened()
        except OSError as error:
            self._report(str(error))

    def _write(self, group: Sequence[Waiting]) -> None:
        error: Exception | None = None
        try:
            self._opened().append([event for waiting in group for event in waiting.events])
        except Exception as failure:  # noqa: BLE001 - store raises it to the caller, and the thread must outlive it
            error = failure
        self._report("" if error is None else str(error))
        for loop in {waiting.loop for waiting in group}:
            loop.call_soon_threadsafe(_tell, [waiting.stored for waiting in group if waiting.loop is loop], error)

    def _seal_due(self) -> None:
        try:
            if self._writer is not None:
                self._writer.seal_when_due()
        except OSError as error:
            LOGGER.error("a segment could not be sealed; the next start recovers it: %s", error)

    def _close(self) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            LOGGER.error("a segment could not be sealed; the next start recovers it: %s", error)

    def _opened(self) -> LandingWriter:
        if self._writer is None:
            limits = self._settings.serving
            self._writer = LandingWriter(
                self._settings.landing, PRODUCER, limits.segment_limit_bytes, limits.segment_limit_seconds
            )
        return self._writer

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            LOGGER.error("predictions cannot be stored: %s", problem)
        if self.problem and not problem:
            LOGGER.info("predictions are stored again")
        self.problem = problem


def _tell(futures: Sequence["asyncio.Future[None]"], error: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
