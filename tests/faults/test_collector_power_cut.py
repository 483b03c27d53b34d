"""The power is cut under a collector at work: what it acknowledged is on the disk. Runs as root."""

import random
import signal
from pathlib import Path

import pytest

from tests.faults.collector import SERVING, Collector, Identity, Ledger, landed, producing
from tests.faults.disk import Disk

SEED = 20_191_130
UNSYNCED = ("-m", "tests.faults.without_sync")


def cut_under(disk: Disk, collector: Collector, ledger: Ledger, cuts: int) -> set[Identity]:
    """Load the collector, cut its disk's power, and let it recover, `cuts` times; what was never acknowledged.

    An answer that comes after the cut does not count: a sync that is under way when a file system is shut down may call
    itself good (that is seen often), but where the power is gone nobody is left to tell it.
    """
    moments, unacknowledged = random.Random(SEED), set()
    for generation in range(cuts):
        collector.start()
        disk.sync()
        ledger.set_open(True)
        with producing(collector, ledger, generation) as producers:
            ledger.wait_for_more(int(10 ** moments.uniform(1, 3.3)))
            ledger.set_open(False)
            disk.cut()
        collector.end(signal.SIGKILL)
        unacknowledged |= {identity for producer in producers for identity in producer.unacknowledged}
        disk.restore()
    collector.start()
    collector.end(signal.SIGTERM)
    return unacknowledged


def lost_and_found(folder: Path, arguments: tuple[str, ...], cuts: int) -> tuple[set[Identity], set[Identity]]:
    """Acknowledged events that are gone after the cuts, and such as are there though nobody sent them."""
    with Disk(folder) as disk, Ledger(folder / "ledger") as ledger:
        collector = Collector(folder, disk.root / "home", arguments)
        try:
            unacknowledged = cut_under(disk, collector, ledger, cuts)
        finally:
            collector.end(signal.SIGKILL)
        acknowledged, found = ledger.identities(), set(landed(collector.settings))
        assert list(collector.settings.landing.glob("*/*.open")) == []
    return acknowledged - found, found - acknowledged - unacknowledged


@pytest.mark.parametrize("cuts", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_no_acknowledged_event_is_lost_when_the_power_is_cut(tmp_path, cuts):
    assert lost_and_found(tmp_path, SERVING, cuts) == (set(), set())


def test_a_collector_that_does_not_sync_loses_events_when_the_power_is_cut(tmp_path):
    lost, _ = lost_and_found(tmp_path, UNSYNCED, cuts=1)
    assert len(lost) > 0
