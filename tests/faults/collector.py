"""A real `python -m serving` to be killed, producers that load it, and the ledger of what it acknowledged to them."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from data_contracts.landing import read_segment
from data_contracts.settings import Settings, load
from tests.conftest import free_port

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
OVERLAY = """
[clock]
stated = "2019-11-30T23:59:59Z"
[services]
serving_port = {}
mlflow_port = {}
[serving]
segment_limit_bytes = 100000
segment_limit_seconds = 0.3
champion_poll_seconds = 3600
"""
SERVING = ("-m", "serving")

Identity = tuple[str, str]
"""A table and an id in it."""


class Collector:
    """Serving with a home and a port of its own, without model, snapshot and MLflow. `arguments` of Python start it."""

    def __init__(self, folder: Path, home: Path, arguments: Sequence[str] = SERVING) -> None:
        overlay, self._log = folder / "overlay.toml", folder / "serving.log"
        overlay.write_text(OVERLAY.format(free_port(), free_port()))
        self._environ = {"CLICKLAKE_HOME": str(home), "CLICKLAKE_CONF": str(overlay)}
        self._command = [sys.executable, *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self.settings = load(self._environ)

    @property
    def address(self) -> tuple[str, int]:
        return self.settings.services.host, self.settings.services.serving_port

    def start(self) -> None:
        """Returns once it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=os.environ | self._environ, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(self.address, timeout=1).close()
                return
            except OSError:
                is_late = time.monotonic() > deadline or self._process.poll() is not None
                assert not is_late, f"serving does not start:\n{self._log.read_text()[-4000:]}"
                time.sleep(0.01)

    def end(self, number: signal.Signals) -> None:
        """Signal it and wait for its end."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None


class Ledger:
    """A file, beside the server's disk, of the ids it acknowledged: a line is written before its client goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._more = threading.Condition()
        self._count = 0
        self._is_open = True

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def note(self, acknowledged: Sequence[Identity]) -> bool:
        """False, and nothing noted, while the ledger is closed."""
        with self._more:
            if self._is_open:
                lines = "".join(f"{table} {identity}\n" for table, identity in acknowledged)
                os.write(self._file, lines.encode())
                self._count += len(acknowledged)
                self._more.notify_all()
            return self._is_open

    def set_open(self, is_open: bool) -> None:
        with self._more:
            self._is_open = is_open

    def wait_for_more(self, number: int) -> None:
        """Until `number` events more than now are acknowledged."""
        with self._more:
            enough = self._count + number
            assert self._more.wait_for(lambda: self._count >= enough, PATIENCE_SECONDS), "no acknowledgements come"

    def identities(self) -> set[Identity]:
        lines = self._path.read_text().splitlines()
        return {(table, identity) for table, _, identity in (line.partition(" ") for line in lines)}


class Producer(threading.Thread):
    """One connection that posts arrays of `size` events of a table (1: no array), and what was not acknowledged again,
    until it is told to end. Where an answer fails to come, it forgets the one before and sends that again too."""

    def __init__(self, collector: Collector, ledger: Ledger, number: int, table: str, size: int) -> None:
        super().__init__(name=f"producer-{number}")
        self._connection = http.client.HTTPConnection(*collector.address, timeout=PATIENCE_SECONDS)
        self._ledger, self._table, self._size = ledger, table, size
        self._events = (_event(table, number, serial) for serial in count())
        self._is_over = threading.Event()
        self.unacknowledged: dict[Identity, Any] = {}
        self._previous: dict[Identity, Any] = {}
        self.unanswered = 0

    def end(self) -> None:
        self._is_over.set()
        self.join()
        self._connection.close()

    def run(self) -> None:
        while not self._is_over.is_set():
            events = dict(next(self._events) for _ in range(self._size))
            self.unacknowledged = dict(events)
            while self.unacknowledged:
                self._post()
                if self.unacknowledged and self._is_over.wait(0.005):
                    return
            self._previous = events

    def _post(self) -> None:
        events = list(self.unacknowledged.values())
        path = "/event/impression" if self._table == "ad_impressions" else "/event/click"
        body = json.dumps(events if self._size > 1 else events[0])
        try:
            self._connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self.unanswered += 1
            self.unacknowledged |= self._previous
            return
        items = answer if isinstance(answer, list) else [answer]
        assert {item["status"] for item in items} <= {200, 201, 503}, answer
        acknowledged = [(self._table, item["id"]) for item in items if item["status"] in (200, 201)]
        if self._ledger.note(acknowledged):
            for identity in acknowledged:
                del self.unacknowledged[identity]


def _event(table: str, producer: int, serial: int) -> tuple[Identity, dict[str, Any]]:
    identity = f"{serial:08x}-0000-4000-8000-{producer:012x}"
    event = {"impression_id": identity, "timestamp": "2019-11-30T12:00:00Z"}
    if table == "clicks":
        return (table, identity), {**event, "click_id": identity}
    return (table, identity), {**event, "user_id": "cohort-1", "ad_id": "men-14", "features": {"site": "news"}}


@contextmanager
def producing(collector: Collector, ledger: Ledger, generation: int = 0) -> Iterator[list[Producer]]:
    """Four connections at work: singles and arrays of impressions and of clicks. Ids differ by `generation`."""
    kinds = (("ad_impressions", 1), ("clicks", 1), ("ad_impressions", 20), ("clicks", 20))
    producers = [
        Producer(collector, ledger, generation * len(kinds) + place, table, size)
        for place, (table, size) in enumerate(kinds)
    ]
    for producer in producers:
        producer.start()
    try:
        yield producers
    finally:
        for producer in producers:
            producer.end()


def landed(settings: Settings) -> Counter[Identity]:
    """How often each id is in the sealed segments. One id has one content, and one user one pseudonym."""
    rows: dict[Identity, str] = {}
    found: Counter[Identity] = Counter()
    for segment in sorted(settings.landing.glob("*/*.jsonl")):
        for envelope in read_segment(segment):
            table, row = envelope["table"], envelope["row"]
            identity = table, row["click_id" if table == "clicks" else "impression_id"]
            assert rows.setdefault(identity, json.dumps(row)) == json.dumps(row)
            found[identity] += 1
    assert len({json.loads(row).get("user_id") for (table, _), row in rows.items() if table == "ad_impressions"}) <= 1
    return found
