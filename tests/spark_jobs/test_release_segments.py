import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from data_contracts.landing import Event, LandingWriter
from data_contracts.tables import RAW_EVENTS
from spark_jobs import load_events
from spark_jobs.locks import LockError
from spark_jobs.release_segments import main, old_segments
from spark_jobs.session import JobError
from tests.spark_jobs.conftest import NOON, click, impression

pytestmark = pytest.mark.spark
EIGHT_DAYS = 8 * 86_400


def landed_segments(lake, *segments, producer="serving"):
    """A sealed segment for each of the lists of events, written eight days ago; their paths."""
    writer = LandingWriter(lake.settings.landing, producer)
    for events in segments:
        writer.append(events)
        writer.seal()
    writer.close()
    paths = sorted((lake.settings.landing / writer.producer).glob("*.jsonl"))
    for path in paths:
        aged(path)
    return paths


def aged(path: Path) -> None:
    then = time.time() - EIGHT_DAYS
    os.utime(path, (then, then))


def shown(*numbers):
    return [Event("ad_impressions", NOON + timedelta(minutes=number), impression(number)) for number in numbers]


def kept(lake):
    return sorted(f"{path.parent.name}/{int(path.stem)}" for path in lake.settings.landing.glob("*/*.jsonl"))


def test_what_raw_events_holds_line_for_line_is_released_but_the_newest_of_each_producer(lake):
    landed_segments(lake, shown(1, 2), shown(3), shown(4))
    refused = Event("clicks", NOON, None, "log.csv:7", "expected 5 fields, found 2")
    landed_segments(lake, [refused, refused], [Event("clicks", NOON, click(1))], producer="import")
    load_events.main(lake, NOON, None)
    assert main(lake, NOON, None).startswith("landing: 3 segments released")
    assert kept(lake) == ["import-0/2", "serving-0/3"]
    assert main(lake, NOON, None) == "landing: no segment is old enough to be released"


def test_the_next_segment_is_numbered_on_and_the_next_load_takes_only_what_is_new(lake):
    landed_segments(lake, shown(1), shown(2), shown(3))
    load_events.main(lake, NOON, None)
    main(lake, NOON, None)
    assert load_events.main(lake, NOON, None) == "raw_events: 0 lines loaded"
    landed_segments(lake, shown(4))
    assert kept(lake) == ["serving-0/3", "serving-0/4"]
    assert load_events.main(lake, NOON, None) == "raw_events: 1 lines loaded"
    assert lake.read(RAW_EVENTS).count() == 4


def test_a_load_cut_short_after_its_commit_goes_on_without_the_released_segments(lake):
    """Killed between Delta's commit and the stream's own, the load does the batch again: Delta's mark skips it."""
    landed_segments(lake, shown(1), shown(2), shown(3))
    load_events.main(lake, NOON, None)
    commits = lake.settings.checkpoints / "load_events" / "commits"
    for path in (*commits.glob("0"), *commits.glob(".0.crc")):
        path.unlink()
    assert main(lake, NOON, None).startswith("landing: 2 segments released")
    load_events.main(lake, NOON, None)
    landed_segments(lake, shown(4))
    load_events.main(lake, NOON, None)
    assert lake.read(RAW_EVENTS).count() == 4


def test_after_a_load_that_was_cut_short_nothing_is_released_until_the_next_has_made_it_good(lake):
    landed_segments(lake, shown(1), shown(2))
    load_events.main(lake, NOON, None)
    (lake.settings.home / "locks" / "raw_events").write_text(f"{uuid4()}\n")
    for _ in range(2):
        with pytest.raises(LockError, match="the last load of raw_events was cut short: run load_events first"):
            main(lake, NOON, None)
    load_events.main(lake, NOON, None)
    assert main(lake, NOON, None).startswith("landing: 1 segments released")


def test_a_young_segment_stays(lake):
    first, *_ = landed_segments(lake, shown(1), shown(2))
    os.utime(first)
    load_events.main(lake, NOON, None)
    main(lake, NOON, None)
    assert kept(lake) == ["serving-0/1", "serving-0/2"]
    assert old_segments(lake.settings.landing, time.time() + 60) == [first]


def test_a_segment_that_is_not_loaded_stays_and_is_named(lake):
    landed_segments(lake, shown(1), shown(2), shown(3))
    said = main(lake, NOON, None)
    assert said.splitlines()[1:] == [f"  kept serving-0/{n:020d}.jsonl: not loaded" for n in (1, 2)]
    assert kept(lake) == ["serving-0/1", "serving-0/2", "serving-0/3"]


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ("DELETE FROM {raw} WHERE row LIKE '%impression-1\"%'", "2 lines, but 1 rows of raw_events"),
        ("UPDATE {raw} SET row = replace(row, 'ad-1', 'ad-2') WHERE row LIKE '%impression-1\"%'", "holds other rows"),
        ("UPDATE {raw} SET table_name = 'clicks' WHERE row LIKE '%impression-1\"%'", "holds other rows"),
    ],
)
def test_a_segment_that_raw_events_holds_otherwise_stays_and_fails_the_job_by_name(lake, harm, reason):
    landed_segments(lake, shown(1, 2), shown(3), shown(4))
    load_events.main(lake, NOON, None)
    lake.spark.sql(harm.format(raw=f"delta.`{lake.path(RAW_EVENTS)}`"))
    with pytest.raises(JobError, match=f"1 segments released.*\n  kept serving-0/0+1.jsonl: .*{reason}"):
        main(lake, NOON, None)
    assert kept(lake) == ["serving-0/1", "serving-0/3"]


def test_the_same_row_twice_and_another_not_at_all_is_no_proof(lake):
    landed_segments(lake, shown(1, 2), shown(3))
    load_events.main(lake, NOON, None)
    raw = f"delta.`{lake.path(RAW_EVENTS)}`"
    lake.spark.sql(f"INSERT INTO {raw} SELECT * FROM {raw} WHERE row LIKE '%impression-1\"%'")
    lake.spark.sql(f"DELETE FROM {raw} WHERE row LIKE '%impression-2\"%'")
    with pytest.raises(JobError, match="raw_events holds other rows than its lines"):
        main(lake, NOON, None)


def test_a_segment_with_a_damaged_line_stays_for_raw_events_has_only_its_hash(lake):
    first, *_ = landed_segments(lake, shown(1, 2), shown(3))
    first.write_bytes(first.read_bytes().replace(b"impression-1", b"impression-9"))
    aged(first)
    load_events.main(lake, NOON, None)
    with pytest.raises(JobError, match="1 of its 2 lines are damaged"):
        main(lake, NOON, None)
    assert first.exists()


def test_landing_days_are_those_of_the_conf(lake):
    landed_segments(lake, shown(1), shown(2))
    load_events.main(lake, NOON, None)
    retention = replace(lake.settings.retention, landing_days=9)
    longer = replace(lake, settings=replace(lake.settings, retention=retention))
    assert main(longer, NOON, None) == "landing: no segment is old enough to be released"
