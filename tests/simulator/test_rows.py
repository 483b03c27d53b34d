"""Rows as landing holds them: canonical, and what the events say."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.landing import canonical_row, instant_text
from data_contracts.tables import LANDED
from simulator.rows import instants, uuids
from tests.simulator.conftest import QUIET, knobs_with, landed, market, written

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.lists(st.integers(0, 4_000_000_000_000_000), max_size=5))
def test_instants_are_written_as_landing_does(microseconds):
    expected = [instant_text(EPOCH + timedelta(microseconds=each)).encode() for each in microseconds]
    assert instants(np.array(microseconds, np.int64)) == expected


def test_uuids_are_random_ones_of_version_4():
    made = uuids(np.random.default_rng(1), 1_000)
    assert len(set(made)) == 1_000
    for text in made:
        found = uuid.UUID(text.decode())
        assert (str(found), found.version, found.variant) == (text.decode(), 4, uuid.RFC_4122)


@pytest.fixture(scope="module")
def lines(knobs, tmp_path_factory):
    quiet = knobs_with(arrival=QUIET, experiment={"start_day": 1}, size={"users": 3_000})
    return landed(written(market(quiet), tmp_path_factory.mktemp("rows")))


def test_every_row_is_canonical_and_states_no_default(lines):
    for line in lines:
        row, columns = line["row"], {column.name: column for column in LANDED[line["table"]].event_columns}
        assert json.loads(canonical_row(row)) == row
        assert list(row) == sorted(row)
        assert set(row) <= set(columns)
        assert not any(row[name] == columns[name].default for name in row)
        assert all(name in row for name, column in columns.items() if column.is_required)


def test_a_row_is_written_as_canonical_json(knobs, tmp_path):
    folder = written(market(knobs_with(arrival=QUIET), days=1), tmp_path)
    for path in folder.glob("landing/*/*.jsonl"):
        for line in path.read_bytes().splitlines():
            row = line.partition(b'"row":')[2].rpartition(b',"_c"')[0]
            assert row == canonical_row(json.loads(row))


def test_the_test_is_told_from_its_first_day_on_of_all_but_crawlers(lines):
    shown = [line["row"] for line in lines if line["table"] == "ad_impressions"]
    first = [row for row in shown if row["timestamp"] < "2026-01-02"]
    second = [row for row in shown if row["timestamp"] >= "2026-01-02"]
    assert not any("variant" in row for row in first)
    told = {(row.get("experiment"), row.get("variant")) for row in second}
    assert told == {("bold_title", "a"), ("bold_title", "b"), (None, None)}
    assert all(("variant" in row) == (row["user_agent_class"] != "crawler") for row in second)


def test_users_and_ads_are_told_of_before_they_are_seen(lines):
    known: dict[str, set[str]] = {"ads": set(), "users": set()}
    for line in sorted(lines, key=lambda line: line["received_at"]):
        if line["table"] in known:
            known[line["table"]].add(line["row"]["ad_id" if line["table"] == "ads" else "user_id"])
        elif line["table"] == "ad_impressions":
            assert line["row"]["ad_id"] in known["ads"]
            assert line["row"]["user_id"] in known["users"] or line["row"]["user_agent_class"] == "crawler"
