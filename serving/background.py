"""A thread that does one thing again and again."""

import logging
import threading
from collections.abc import Callable

LOGGER = logging.getLogger(__name__)


class Repeated:
    """Calls `action` at once and then every `seconds`, in a daemon thread, until stopped; survives its errors."""

    def __init__(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        self._seconds, self._action = seconds, action
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Waits at most `timeout` seconds for a call in progress."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._action()
            except Exception:
                LOGGER.exception("%s failed and goes on", self._thread.name)
            self._stopping.wait(self._seconds)
