"""The disk is filled under a collector at work, and emptied again. Runs as root."""

import contextlib
import errno
import http.client
import json
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.collector import SERVING, Collector, landed
from tests.faults.disk import Disk

ACKNOWLEDGING_FIRST = ("-m", "tests.faults.acknowledging_first")
RECOVERY_SECONDS = 5.0
LONGEST_SECONDS = 60.0


class Client(threading.Thread):
    """Sends clicks one after the other; `answers` has the time, id and status of each."""

    def __init__(self, collector: Collector) -> None:
        super().__init__(daemon=True)
        self.answers: list[tuple[float, str, int]] = []
        self.is_over = threading.Event()
        self._collector = collector

    def run(self) -> None:
        with contextlib.closing(http.client.HTTPConnection(*self._collector.address, timeout=20)) as connection:
            while not self.is_over.is_set():
                click = {"click_id": str(uuid.uuid4()), "impression_id": str(uuid.UUID(int=0))}
                body = json.dumps(click | {"timestamp": "2019-11-30T12:00:00Z"})
                connection.request("POST", "/event/click", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                self.answers.append((time.monotonic(), click["click_id"], answer.status))

    def statuses(self, since: float) -> list[int]:
        return [status for at, _, status in self.answers if at > since]

    def wait_for(self, status: int, since: float) -> float:
        """When the first such answer came after `since`."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < deadline:
            if found := [at for at, _, own in self.answers if at > since and own == status]:
                return found[0]
            time.sleep(0.01)
        raise AssertionError(f"no {status}: {self.statuses(since)[-20:]}")


def filled(file: Path) -> None:
    """No byte is free beside `file` any more."""
    with file.open("ab", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(size))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path, size_bytes=32 << 20) as disk:
        yield disk


def acknowledged_and_landed(folder: Path, disk: Disk, arguments: tuple[str, ...]) -> tuple[set[str], set[str], float]:
    """Clicks that were answered 201 while the disk filled up and had room again; those that are on it; and seconds from
    the room to the first 201."""
    collector = Collector(folder, disk.root / "home", arguments)
    client = Client(collector)
    try:
        collector.start()
        client.start()
        client.wait_for(201, 0.0)
        filler = disk.root / "filler"
        full_at = 0.0
        while not full_at:
            filled(filler)
            time.sleep(0.1)
            full_at = time.monotonic() if 503 in client.statuses(0.0)[-5:] else 0.0
        filled(filler)
        filler.unlink()
        emptied_at = time.monotonic()
        took = client.wait_for(201, emptied_at) - emptied_at
        client.is_over.set()
        client.join()
        assert set(client.statuses(0.0)) == {201, 503}
    finally:
        client.is_over.set()
        collector.end(signal.SIGTERM)
    told = {identity for _, identity, status in client.answers if status == 201}
    return told, {identity for _, identity in landed(collector.settings)}, took


def test_a_full_disk_is_told_nothing_acknowledged_is_lost_and_room_is_found_soon(tmp_path: Path, disk: Disk) -> None:
    told, found, took = acknowledged_and_landed(tmp_path, disk, SERVING)
    assert took < RECOVERY_SECONDS
    assert told == found


def test_a_collector_that_acknowledges_first_loses_what_it_acknowledged(tmp_path: Path, disk: Disk) -> None:
    told, found, _ = acknowledged_and_landed(tmp_path, disk, ACKNOWLEDGING_FIRST)
    assert told - found


def test_a_disk_that_is_filled_is_full(disk: Disk) -> None:
    filled(disk.root / "filler")
    with pytest.raises(OSError) as raised:
        (disk.root / "other").write_bytes(bytes(1 << 16))
    assert raised.value.errno == errno.ENOSPC
