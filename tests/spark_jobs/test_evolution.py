"""A contract that changed, against tables with rows of the one before: real Delta, read by both engines."""

from dataclasses import replace

import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from data_contracts.lake import open_lake
from data_contracts.landing import Event
from data_contracts.schema import Column, Table
from data_contracts.tables import CLICKS
from spark_jobs.refine_events import refine_batch
from spark_jobs.session import JobError, Lake
from tests.spark_jobs.conftest import NOON, click

pytestmark = pytest.mark.spark
OLDER = replace(CLICKS, columns=tuple(column for column in CLICKS.columns if column.name != "is_clock_skewed"))


def changed(name: str, *instead: Column) -> Table:
    """The contract of clicks with other columns in the place of one."""
    parts = [instead if column.name == name else (column,) for column in CLICKS.columns]
    return replace(CLICKS, columns=tuple(column for part in parts for column in part))


def clicks(lake: Lake) -> list[tuple[str, bool | None]]:
    return sorted(tuple(row) for row in lake.read(CLICKS).select("click_id", "is_clock_skewed").collect())


def clicks_in_duckdb(lake: Lake) -> list[tuple[str, bool | None]]:
    return open_lake(lake.settings).sql("SELECT click_id, is_clock_skewed FROM clicks ORDER BY 1").fetchall()


@pytest.fixture
def old_lake(lake, landed, tmp_path):
    """A lake whose clicks were written before they had is_clock_skewed."""
    refine_batch(lake, landed(Event("clicks", NOON, click(1))))
    old = replace(lake, settings=replace(lake.settings, home=tmp_path / "old"), _held=set())
    old.overwrite(OLDER, lake.read(CLICKS))
    return old


def test_a_new_nullable_column_reaches_an_old_table_without_a_rewrite(old_lake):
    assert clicks(old_lake) == clicks_in_duckdb(old_lake) == [("click-1", None)]  # even before a job has been there
    before = DeltaTable(old_lake.path(CLICKS)).file_uris()
    with old_lake.writing(CLICKS):
        pass
    table = DeltaTable(old_lake.path(CLICKS))
    assert "is_clock_skewed" in [field.name for field in table.schema().fields]
    assert table.file_uris() == before
    assert clicks(old_lake) == clicks_in_duckdb(old_lake) == [("click-1", None)]


def test_new_rows_and_those_of_a_producer_that_does_not_know_the_column_go_in_beside_the_old_ones(old_lake, landed):
    with old_lake.writing(CLICKS):
        refine_batch(old_lake, landed(Event("clicks", NOON, click(2))))
        unknown = old_lake.read(CLICKS).where("click_id = 'click-2'").drop("is_clock_skewed")
        earlier = unknown.withColumn("click_id", F.lit("click-3"))
        earlier.write.format("delta").mode("append").save(old_lake.path(CLICKS))
    assert clicks(old_lake) == clicks_in_duckdb(old_lake)
    assert clicks(old_lake) == [("click-1", None), ("click-2", False), ("click-3", None)]


def test_a_column_may_become_nullable(lake):
    loosened = changed("clicked", Column("clicked", "BOOLEAN", "did the user click?", nullable=True))
    with lake.writing(loosened):
        pass
    assert {f.name: f.nullable for f in DeltaTable(lake.path(CLICKS)).schema().fields}["clicked"] is True


REFUSED = {
    "dropped": (
        changed("user_id"),
        "clicks.user_id is in the lake but not in the contract: a column may not be dropped",
    ),
    "renamed": (
        changed("user_id", Column("person_id", "STRING", "who", nullable=True)),
        "clicks.user_id is in the lake but not in the contract: a column may not be dropped or renamed",
    ),
    "of another type": (
        changed("clicked", Column("clicked", "INT", "did the user click?")),
        "clicks.clicked is BOOLEAN in the lake: its type may not become INT",
    ),
    "narrowed": (
        changed("user_id", Column("user_id", "STRING", "who")),
        "clicks.user_id may be null in the lake: rows already written may have no value for it",
    ),
    "new and never null": (
        changed("user_id", *(c for c in CLICKS.columns if c.name == "user_id"), Column("device", "STRING", "of it")),
        "clicks.device is new and may not be null: rows already written have no value for it",
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_what_rows_already_written_cannot_meet_is_refused_by_name(change, lake):
    contract, words = REFUSED[change]
    before = DeltaTable(lake.path(CLICKS)).version()
    with pytest.raises(JobError, match=words), lake.writing(contract):
        pass
    assert DeltaTable(lake.path(CLICKS)).version() == before
    with lake.writing(CLICKS) as was_cut_short:
        assert was_cut_short is False
