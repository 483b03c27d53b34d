"""Group commit: one thread of a process appends to landing for all who ask, group by group.

What arrives while one append syncs is written by the next one together; there is no delay to gather more. Rows come
encoded, so that one that cannot be encoded fails where it is made and never a group.
"""

import errno
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from data_contracts.landing import EncodedRows, LandingWriter

LOGGER = logging.getLogger(__name__)
Ticket = TypeVar("Ticket")


class QueueFullError(OSError):
    """More waits for the disk than may: nothing of what was asked is stored."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(errno.ENOBUFS, f"over {limit_bytes} bytes wait for the disk already")


class Submitted(NamedTuple, Generic[Ticket]):
    """What is to be stored at once, and the mark by which it is told."""

    batches: Sequence[EncodedRows]
    ticket: Ticket
    size_bytes: int


class GroupCommit(Generic[Ticket]):
    """Owns one landing writer, made by `opened`. Once a group is on disk, or could not be written, its thread calls
    `tell(tickets, error)`. `problem` is the error of the last attempt to write, or empty."""

    def __init__(
        self,
        opened: Callable[[], LandingWriter],
        tell: Callable[[Sequence[Ticket], Exception | None], None],
        limit_bytes: int,
        seal_check_seconds: float,
    ) -> None:
        self._open, self._tell = opened, tell
        self._limit_bytes, self._seal_check_seconds = limit_bytes, seal_check_seconds
        self._queue: queue.SimpleQueue[Submitted[Ticket] | None] = queue.SimpleQueue()
        self._counting = threading.Lock()
        self._submitted_bytes = self._finished_bytes = 0
        self._writer: LandingWriter | None = None
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self.problem = ""

    @property
    def waiting_bytes(self) -> int:
        """What was submitted and is neither on disk nor refused yet."""
        return self._submitted_bytes - self._finished_bytes

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Writes what is waiting and seals the open segment."""
        self._queue.put(None)
        self._thread.join(timeout)

    def submit(self, batches: Sequence[EncodedRows], ticket: Ticket) -> None:
        """Raises QueueFullError when more than the limit would wait; what comes alone may be larger than that."""
        size = 0
        for batch in batches:
            size += batch.size_bytes
        with self._counting:
            waiting = self.waiting_bytes
            if waiting and waiting + size > self._limit_bytes:
                raise QueueFullError(self._limit_bytes)
            self._submitted_bytes += size
        self._queue.put(Submitted(batches, ticket, size))

    def _run(self) -> None:
        self._prepare()
        is_open = True
        while is_open:
            group = self._arrived()
            is_open = None not in group
            if submitted := [one for one in group if one is not None]:
                self._write(submitted)
            self._seal_due()
        self._close()

    def _arrived(self) -> list[Submitted[Ticket] | None]:
        """All that waits in the queue; empty when nothing came in time for a look at the open segment's age."""
        group: list[Submitted[Ticket] | None] = []
        try:
            group.append(self._queue.get(timeout=self._seal_check_seconds))
            while True:
                group.append(self._queue.get_nowait())
        except queue.Empty:
            return group

    def _prepare(self) -> None:
        """Opening recovers what a killed process left, so it does not wait for the first row."""
        try:
            self._opened()
        except OSError as error:
            self._report(str(error))

    def _write(self, group: Sequence[Submitted[Ticket]]) -> None:
        error: Exception | None = None
        try:
            self._opened().append_rows([batch for one in group for batch in one.batches])
        except Exception as failure:  # noqa: BLE001 - it is told to those who wait, and the thread must outlive it
            error = failure
        self._report("" if error is None else str(error))
        self._finished_bytes += sum(one.size_bytes for one in group)
        self._tell([one.ticket for one in group], error)

    def _opened(self) -> LandingWriter:
        if self._writer is None:
            self._writer = self._open()
        return self._writer

    def _seal_due(self) -> None:
        try:
            if self._writer is not None:
                self._writer.seal_when_due()
        except OSError as error:
            LOGGER.error("a segment could not be sealed; it is tried again: %s", error)

    def _close(self) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            LOGGER.error("a segment could not be sealed; the next start recovers it: %s", error)

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            LOGGER.error("rows cannot be stored: %s", problem)
        if self.problem and not problem:
            LOGGER.info("rows are stored again")
        self.problem = problem
