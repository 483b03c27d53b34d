import hashlib
from datetime import timedelta

import pytest

from data_contracts.landing import Event, LandingWriter, event_line
from data_contracts.tables import RAW_EVENTS
from spark_jobs import load_events
from spark_jobs.session import JobError
from tests.spark_jobs.conftest import NOON, impression

pytestmark = pytest.mark.spark
LINES = "value STRING, segment STRING, sealed_at TIMESTAMP"


def stored(lake):
    return {row["origin"]: row for row in lake.read(RAW_EVENTS).collect()}


def test_the_row_is_kept_as_it_was_written_and_hashed_over_its_own_bytes(landed):
    row = {"impression_id": "i", "features": {"größe": 'a "quoted" {value}'}, "propensity": 1e-06}
    (found,) = landed(Event("ad_impressions", NOON, row, "log.csv:2")).collect()
    text = '{"features":{"größe":"a \\"quoted\\" {value}"},"impression_id":"i","propensity":1e-06}'
    assert found["row"] == text
    assert found["content_hash"] == hashlib.sha256(text.encode()).hexdigest()
    assert (found["table_name"], found["origin"], found["error"]) == ("ad_impressions", "log.csv:2", None)


@pytest.mark.parametrize("damage", [lambda line: line[:-20], lambda line: line.replace("ad-1", "ad-2"), lambda _: ""])
def test_a_damaged_line_is_kept_as_an_error_of_its_segment(spark, damage):
    line = event_line(Event("ad_impressions", NOON, impression(1)), "o").decode().removesuffix("\n")
    lines = spark.createDataFrame([(damage(line), "serving-0/7.jsonl", NOON)], LINES)
    (found,) = load_events.raw_events(lines).collect()
    assert found["error"] == "the landing line is damaged: its checksum does not match"
    assert (found["table_name"], found["origin"], found["row"]) == ("unknown", "serving-0/7.jsonl", None)


def test_a_line_for_no_table_of_the_contract_is_an_error(landed):
    (found,) = landed(Event("ad_impresions", NOON, {"a": 1})).collect()
    assert found["error"] == "meant for no table of the contract"


def test_a_source_line_that_gave_no_row_keeps_its_own_reason(landed):
    (found,) = landed(Event("clicks", NOON, None, "log.csv:3", "expected 5 fields, found 2")).collect()
    assert (found["error"], found["row"]) == ("expected 5 fields, found 2", None)


def test_a_source_line_that_gave_no_row_is_the_same_content_whenever_it_is_imported(landed):
    events = [
        Event("clicks", NOON + timedelta(hours=h), None, "log.csv:3", "expected 5 fields, found 2") for h in (0, 9)
    ]
    assert len({row["content_hash"] for row in landed(*events).collect()}) == 1
    others = landed(events[0], Event("clicks", NOON, None, "log.csv:4", "expected 5 fields, found 2"))
    assert len({row["content_hash"] for row in others.collect()}) == 2


def test_a_sealed_segment_is_loaded_once_however_often_the_job_runs(lake):
    writer = LandingWriter(lake.settings.landing, "serving")
    writer.append([Event("ad_impressions", NOON, impression(1)), Event("ad_impressions", NOON, impression(2))])
    writer.seal()
    assert load_events.main(lake, NOON, None) == "raw_events: 2 lines loaded"
    assert load_events.main(lake, NOON, None) == "raw_events: 0 lines loaded"
    writer.append([Event("ad_impressions", NOON + timedelta(hours=1), impression(3))])
    load_events.main(lake, NOON, None)
    assert sorted(stored(lake)) == ["serving-0/00000000000000000001.jsonl:1", "serving-0/00000000000000000001.jsonl:2"]
    writer.close()
    load_events.main(lake, NOON, None)
    assert len(stored(lake)) == 3


def test_rows_from_before_as_of_that_are_still_being_written_are_waited_for(lake, monkeypatch):
    monkeypatch.setattr(load_events, "SEAL_SECONDS", 0)
    writer = LandingWriter(lake.settings.landing, "serving")
    writer.append([Event("ad_impressions", NOON, impression(1))])
    with pytest.raises(JobError, match="serving-0 still writes rows received before 2026-01-10T12:01:00"):
        load_events.main(lake, NOON + timedelta(minutes=1), None)
    assert load_events.main(lake, NOON, None) == "raw_events: 0 lines loaded"
    writer.close()
    assert load_events.main(lake, NOON + timedelta(minutes=1), None) == "raw_events: 1 lines loaded"
