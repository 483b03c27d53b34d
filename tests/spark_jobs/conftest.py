"""A lake of its own for each test, on the one Spark server of the run."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from data_contracts.landing import Event, event_line, instant_text
from data_contracts.settings import Settings
from data_contracts.tables import TABLES
from spark_jobs.load_events import raw_events
from spark_jobs.session import Lake, connect

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def spark(spark_settings: Settings) -> Iterator[SparkSession]:
    session = connect(spark_settings)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def empty_lake(spark: SparkSession, spark_settings: Settings) -> Lake:
    """All tables, made once by the contract, without rows; to be copied, not written."""
    lake = Lake(spark, spark_settings)
    with lake.writing(*TABLES.values()):
        pass
    return lake


@pytest.fixture(scope="session")
def copied_lake(empty_lake: Lake) -> Callable[[Path], Lake]:
    """A lake in a home of its own; a Delta table may be copied, its paths are relative."""

    def copied(home: Path) -> Lake:
        shutil.copytree(empty_lake.settings.lake, home / "lake")
        return replace(empty_lake, settings=replace(empty_lake.settings, home=home))

    return copied


@pytest.fixture
def lake(copied_lake: Callable[[Path], Lake], tmp_path: Path) -> Lake:
    return copied_lake(tmp_path)


@pytest.fixture(scope="session")
def landed(spark: SparkSession) -> Callable[..., DataFrame]:
    """Events as load_events would have put them into raw_events, in the order given."""

    def rows(*events: Event) -> DataFrame:
        lines = [event_line(event, event.origin or f"test:{number}") for number, event in enumerate(events, 1)]
        texts = [(line.decode().removesuffix("\n"), "test-0/1.jsonl", NOON) for line in lines]
        return raw_events(spark.createDataFrame(texts, "value STRING, segment STRING, sealed_at TIMESTAMP"))

    return rows


def impression(number: int, **columns: Any) -> dict[str, Any]:
    """The row of an impression at NOON plus `number` minutes; `columns` replace its own."""
    return {
        "impression_id": f"impression-{number}",
        "user_id": "user-1",
        "ad_id": "ad-1",
        "timestamp": instant_text(NOON + timedelta(minutes=number)),
        "position": 1,
        **columns,
    }


def click(number: int, **columns: Any) -> dict[str, Any]:
    """The row of a click on impression `number`, one second after it."""
    return {
        "click_id": f"click-{number}",
        "impression_id": f"impression-{number}",
        "clicked": True,
        "timestamp": instant_text(NOON + timedelta(minutes=number, seconds=1)),
        **columns,
    }
