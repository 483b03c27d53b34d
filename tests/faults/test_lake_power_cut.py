"""The power is cut under the lake: what a job has finished is on the disk, what it has not the next run makes good.

Runs as root. The Spark server lives through it, as it would not: it finds its tables' files changed behind its back.
"""

import json
import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from data_contracts.landing import Event, LandingWriter
from data_contracts.tables import AD_IMPRESSIONS, RAW_EVENTS
from spark_jobs import load_events, refine_events
from spark_jobs.delta_log import added_files, newest_version
from spark_jobs.durability import is_whole_checkpoint
from spark_jobs.session import Lake
from tests.faults.disk import Disk
from tests.spark_jobs.conftest import NOON, impression

pytestmark = pytest.mark.spark


class PowerCutError(BaseException):
    """What a job does not live to see."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path) as disk:
        yield disk


def land(lake: Lake, *numbers: int) -> None:
    writer = LandingWriter(lake.settings.landing, "serving")
    writer.append([Event("ad_impressions", NOON, impression(number)) for number in numbers])
    writer.close()


def run_jobs(lake: Lake) -> tuple[str, str]:
    return load_events.main(lake, NOON, None), refine_events.main(lake, NOON, Namespace(let_bad_batch_through=False))


def stored(lake: Lake) -> tuple[int, list[str]]:
    """Lines of raw_events, and ids of ad_impressions, as delta-rs reads them."""
    raw = DeltaTable(lake.path(RAW_EVENTS)).to_pyarrow_table(columns=["origin"])
    impressions = DeltaTable(lake.path(AD_IMPRESSIONS)).to_pyarrow_table(columns=["impression_id"])
    return raw.num_rows, sorted(impressions["impression_id"].to_pylist())


def test_what_jobs_have_finished_survives_a_power_cut_and_the_next_run_goes_on(disk, lake_at):
    lake = lake_at(disk.root / "home")
    land(lake, 1, 2)
    assert run_jobs(lake) == ("raw_events: 2 lines loaded", "refined: ad_impressions +2")
    disk.sync()
    land(lake, 3)
    assert load_events.main(lake, NOON, None) == "raw_events: 1 lines loaded"
    disk.cut()
    disk.restore()
    checkpoint = lake.settings.checkpoints / "load_events"
    assert is_whole_checkpoint(checkpoint)
    assert sorted(path.name for path in (checkpoint / "commits").glob("[0-9]")) == ["0", "1"]
    assert stored(lake) == (3, ["impression-1", "impression-2"])
    land(lake, 4)
    assert run_jobs(lake) == ("raw_events: 1 lines loaded", "refined: ad_impressions +2")
    assert stored(lake) == (4, ["impression-1", "impression-2", "impression-3", "impression-4"])


def test_a_commit_that_nobody_synced_is_torn_or_lost_in_a_power_cut(disk, lake_at, monkeypatch):
    lake = lake_at(disk.root / "home")
    with lake.writing(RAW_EVENTS):
        pass
    land(lake, 1, 2)
    monkeypatch.setattr("spark_jobs.session.make_durable", lambda table: None)
    assert load_events.main(lake, NOON, None) == "raw_events: 2 lines loaded"
    disk.cut()
    disk.restore()
    try:
        found = DeltaTable(lake.path(RAW_EVENTS)).to_pyarrow_table(columns=["origin"]).num_rows
    except Exception:  # noqa: BLE001 - a torn commit is a table that cannot be read at all
        found = 0
    assert found == 0


def power_goes(table: Path) -> None:
    """In the place of make_durable, as a job comes to its end."""
    raise PowerCutError


def torn_by(damage: str, table: Path) -> None:
    """Tears the newest commit of a table as a power cut may, when nothing of it was made durable."""
    newest = newest_version(table)
    commit = table / "_delta_log" / f"{newest:020}.json"
    (file,) = {added.path for added in added_files(table, newest)}
    torn = file if damage.startswith("data file") else commit
    os.truncate(torn, 0 if damage.endswith("no bytes") else torn.stat().st_size // 2)


LONG = [pytest.param(damage, marks=pytest.mark.soak) for damage in ("commit cut in two", "data file cut in two")]


@pytest.mark.parametrize("damage", ["commit of no bytes", *LONG])
def test_a_torn_load_is_made_good_by_the_next_run(damage, lake_at, tmp_path, monkeypatch):
    lake = lake_at(tmp_path / "home")
    land(lake, 1)
    load_events.main(lake, NOON, None)
    land(lake, 2, 3)
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        patch.setattr("spark_jobs.session.make_durable", power_goes)
        load_events.main(lake, NOON, None)
    torn_by(damage, Path(lake.path(RAW_EVENTS)))
    assert load_events.main(lake, NOON, None) == "raw_events: 2 lines loaded"
    raw = DeltaTable(lake.path(RAW_EVENTS)).to_pyarrow_table(columns=["row"])["row"].to_pylist()
    assert sorted(json.loads(row)["impression_id"] for row in raw) == ["impression-1", "impression-2", "impression-3"]


@pytest.mark.soak
def test_a_torn_refinement_is_made_good_by_the_next_run(lake_at, tmp_path, monkeypatch):
    lake = lake_at(tmp_path / "home")
    land(lake, 1)
    run_jobs(lake)
    land(lake, 2, 3)
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        load_events.main(lake, NOON, None)
        patch.setattr("spark_jobs.session.make_durable", power_goes)
        refine_events.main(lake, NOON, Namespace(let_bad_batch_through=False))
    impressions = Path(lake.path(AD_IMPRESSIONS))
    (impressions / "_delta_log" / "durable_version").write_text(str(newest_version(impressions) - 1))
    for noted in (lake.settings.checkpoints / "refine_events" / "commits").glob("*1*"):
        noted.unlink()
    torn_by("data file cut in two", impressions)
    assert run_jobs(lake) == ("raw_events: 0 lines loaded", "refined: ad_impressions +2")
    assert stored(lake) == (3, ["impression-1", "impression-2", "impression-3"])
