"""kill -9 of the collector at random moments, told by how much it has acknowledged: what it acknowledged stays."""

import random
import signal
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from data_contracts.tables import AD_IMPRESSIONS, CLICKS, REJECTED_EVENTS
from tests.faults.collector import SERVING, Collector, Identity, Ledger, landed, producing

SEED = 20_191_130
BUFFERED = ("-m", "tests.faults.acknowledging_first")


@pytest.fixture
def collector_of(tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    made: list[Collector] = []

    def collector(arguments: tuple[str, ...]) -> Collector:
        made.append(Collector(tmp_path, tmp_path / "home", arguments))
        return made[-1]

    yield collector
    for one in made:
        one.end(signal.SIGKILL)


def killed(collector: Collector, ledger: Ledger, kills: int) -> set[Identity]:
    """Load, kill and start the collector, and end it in order; what was never acknowledged."""
    moments = random.Random(SEED)
    with producing(collector, ledger) as producers:
        for _ in range(kills):
            collector.start()
            ledger.wait_for_more(int(10 ** moments.uniform(0, 3.5)))
            collector.end(signal.SIGKILL)
        collector.start()
        ledger.wait_for_more(100)
    collector.end(signal.SIGTERM)
    assert sum(producer.unanswered for producer in producers) >= kills
    return {identity for producer in producers for identity in producer.unacknowledged}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger") as ledger:
        yield ledger


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_no_acknowledged_event_is_lost_however_often_the_collector_is_killed(collector_of, ledger, kills):
    collector = collector_of(SERVING)
    unacknowledged = killed(collector, ledger, kills)
    acknowledged, found = ledger.identities(), landed(collector.settings)
    assert acknowledged - set(found) == set()
    assert set(found) - acknowledged <= unacknowledged
    assert list(collector.settings.landing.glob("*/*.open")) == []


def test_a_collector_that_acknowledges_before_it_writes_loses_events_when_it_is_killed(collector_of, ledger):
    collector = collector_of(BUFFERED)
    killed(collector, ledger, kills=2)
    assert len(ledger.identities() - set(landed(collector.settings))) > 0


@pytest.mark.spark
def test_every_acknowledged_event_is_in_its_table_once_though_it_landed_twice(collector_of, ledger, lake_at):
    from spark_jobs import load_events, refine_events

    collector = collector_of(SERVING)
    unacknowledged = killed(collector, ledger, kills=5)
    assert max(landed(collector.settings).values()) > 1
    lake = lake_at(collector.settings.home)
    now = collector.settings.clock.now()
    load_events.main(lake, now, None)
    refine_events.main(lake, now, Namespace(let_bad_batch_through=False))
    found = Counter(
        (table.name, identity)
        for table in (AD_IMPRESSIONS, CLICKS)
        for identity in DeltaTable(lake.path(table)).to_pyarrow_table(columns=[table.key[0]])[0].to_pylist()
    )
    assert set(found.values()) == {1}
    assert ledger.identities() - set(found) == set()
    assert set(found) - ledger.identities() <= unacknowledged
    assert lake.read(REJECTED_EVENTS).count() == 0
