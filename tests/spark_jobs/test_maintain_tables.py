import os
import time
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_contracts.landing import Event, LandingWriter
from data_contracts.tables import AD_IMPRESSIONS, CLICKS, RAW_EVENTS, TABLE_SIZES
from spark_jobs import load_events, refine_events
from spark_jobs.maintain_tables import main
from spark_jobs.refine_events import refine_batch
from tests.spark_jobs.conftest import NOON, impression

pytestmark = pytest.mark.spark
REFINE = Namespace(let_bad_batch_through=False)


def maintained(lake, *tables, as_of=NOON):
    return main(lake, as_of, Namespace(tables=list(tables)))


@pytest.fixture
def scattered(lake, landed):
    """Four impressions of one day in four files."""
    for number in range(4):
        refine_batch(lake, landed(Event("ad_impressions", NOON, impression(number))))
    return lake


def version(lake, table):
    return lake.spark.sql(f"DESCRIBE HISTORY delta.`{lake.path(table)}` LIMIT 1").collect()[0]["version"]


def only_file(lake):
    (uri,) = lake.read(AD_IMPRESSIONS).inputFiles()
    return Path(uri.removeprefix("file:"))


def sizes(lake):
    return {row["table_name"]: row for row in lake.read(TABLE_SIZES).collect()}


def old(path, days):
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def test_small_files_become_one_and_the_table_is_measured(scattered):
    assert maintained(scattered, "ad_impressions") == "ad_impressions: 4 files compacted"
    measured = sizes(scattered)["ad_impressions"]
    assert (measured["files"], measured["small_files"]) == (1, 1)
    assert measured["size_bytes"] == only_file(scattered).stat().st_size
    assert measured["folder_bytes"] > 5 * measured["size_bytes"]  # five versions of it, and the log
    assert measured["version"] == version(scattered, AD_IMPRESSIONS)
    assert sorted(row["impression_id"] for row in scattered.read(AD_IMPRESSIONS).collect()) == [
        "impression-0", "impression-1", "impression-2", "impression-3",
    ]  # fmt: skip


def test_a_second_run_changes_no_table_but_table_sizes(scattered):
    tables = (AD_IMPRESSIONS, CLICKS, RAW_EVENTS)
    names = [table.name for table in tables]
    maintained(scattered, *names)
    before = [version(scattered, table) for table in tables]
    assert maintained(scattered, *names).splitlines() == [f"{name}: 0 files compacted" for name in names]
    assert [version(scattered, table) for table in tables] == before
    assert scattered.read(TABLE_SIZES).count() == 3
    maintained(scattered, "clicks", as_of=NOON + timedelta(days=1))
    assert scattered.read(TABLE_SIZES).count() == 4


def test_files_past_half_the_target_are_not_written_again(scattered):
    maintained(scattered, "ad_impressions")
    size = only_file(scattered).stat().st_size
    retention = replace(scattered.settings.retention, file_bytes=size)
    tight = replace(scattered, settings=replace(scattered.settings, retention=retention))
    path = tight.path(AD_IMPRESSIONS)
    tight.spark.sql(f"INSERT INTO delta.`{path}` SELECT * FROM delta.`{path}`")
    assert maintained(tight, "ad_impressions") == "ad_impressions: 0 files compacted"
    assert sizes(tight)["ad_impressions"]["small_files"] == 0


def test_a_table_that_is_not_there_is_skipped(lake):
    settings = replace(lake.settings, home=lake.settings.home / "elsewhere")
    assert maintained(replace(lake, settings=settings)) == "none of the tables is there yet"
    assert not (settings.lake).exists()


def test_only_files_that_no_version_of_the_last_week_needs_are_deleted(scattered):
    folder = scattered.settings.lake / "ad_impressions"
    stray, young = folder / "stray.parquet", folder / "young.parquet"
    for path, days in ((stray, 8), (young, 6)):
        path.write_bytes(b"")
        old(path, days)
    maintained(scattered, "ad_impressions")
    assert (stray.exists(), young.exists()) == (False, True)
    # What was compacted away a moment ago is still there for who looks at the version before.
    past = scattered.spark.read.format("delta").option("versionAsOf", 2).load(str(folder))
    assert past.count() == 2


def test_the_log_forgets_what_is_older_than_its_retention_at_a_later_checkpoint(scattered):
    maintained(scattered, "ad_impressions")
    log = scattered.settings.lake / "ad_impressions" / "_delta_log"

    def committed(count):
        for number in range(count):
            properties = f"'delta.checkpointInterval' = '2', 'n' = '{number}'"
            scattered.spark.sql(
                f"ALTER TABLE delta.`{scattered.path(AD_IMPRESSIONS)}` SET TBLPROPERTIES ({properties})"
            )

    committed(4)
    for path in sorted(log.glob("0*")):
        old(path, 40 - int(path.name[:20]) / 100)
    newest_old = version(scattered, AD_IMPRESSIONS)
    committed(2)
    oldest = min(int(path.stem) for path in log.glob("*.json"))
    assert newest_old - 2 <= oldest <= newest_old  # the last checkpoint of that age, from which the rest is read
    assert scattered.read(AD_IMPRESSIONS).count() == 4


def test_days_of_raw_events_past_their_retention_go_and_the_refinement_goes_on(lake):
    writer = LandingWriter(lake.settings.landing, "serving")
    for day in (0, 1):
        writer.append([Event("ad_impressions", NOON + timedelta(days=day), impression(day * 1440))])
        writer.seal()
    load_events.main(lake, NOON, None)
    refine_events.main(lake, NOON, REFINE)
    for path in lake.settings.landing.glob("*/*.jsonl"):
        path.unlink()
    as_of = datetime(2026, 2, 10, 1, tzinfo=UTC)
    assert maintained(lake, "raw_events", as_of=as_of) == (
        "raw_events: 0 files compacted, 1 days deleted (2026-01-10 to 2026-01-10)"
    )
    assert [row["received_date"].day for row in lake.read(RAW_EVENTS).collect()] == [11]
    assert maintained(lake, "raw_events", as_of=as_of) == "raw_events: 0 files compacted"
    writer.append([Event("ad_impressions", NOON, impression(7))])
    writer.close()
    load_events.main(lake, NOON, None)
    assert refine_events.main(lake, NOON, REFINE) == "refined: ad_impressions +1"
    assert lake.read(AD_IMPRESSIONS).count() == 3
