"""The version that held at an instant, from the times that the commits themselves tell."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_contracts.table_history import HistoryError, version_at, versions_at

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def commit(table: Path, version: int, at: datetime) -> None:
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    told = [{"protocol": {}}, {"commitInfo": {"timestamp": int(at.timestamp() * 1000)}}]
    (log / f"{version:020}.json").write_text("\n".join(map(json.dumps, told)))


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    """Three commits, an hour apart, the first at noon."""
    for version in range(3):
        commit(tmp_path / "clicks", version, NOON + version * HOUR)
    return tmp_path / "clicks"


@pytest.mark.parametrize(
    ("after_noon", "version"),
    [(-HOUR, None), (timedelta(), 0), (HOUR - timedelta(milliseconds=1), 0), (HOUR, 1), (9 * HOUR, 2)],
)
def test_the_newest_version_committed_by_then_holds(clicks, after_noon, version):
    assert version_at(clicks, NOON + after_noon) == version


def test_a_clock_that_went_back_does_not_hide_a_version(clicks):
    commit(clicks, 3, NOON)
    assert version_at(clicks, NOON + HOUR / 2) == 3


def test_a_commit_without_a_word_on_its_time_counts_by_its_file(clicks):
    (clicks / "_delta_log" / f"{1:020}.json").write_text('{"protocol": {}}')
    assert version_at(clicks, NOON + HOUR) == 0


def test_a_version_whose_log_was_cleaned_up_is_an_error_that_says_how_far_it_reaches(clicks):
    log = clicks / "_delta_log"
    (log / f"{0:020}.json").unlink()
    (log / f"{2:020}.checkpoint.parquet").touch()
    reach = r"clicks: what it was at 2026-01-10T1[123]:00:00.000Z is no longer in its log, which reaches back to "
    for instant in (NOON - HOUR, NOON + HOUR):
        with pytest.raises(HistoryError, match=reach + "2026-01-10T14:00:00.000Z"):
            version_at(clicks, instant)
    assert version_at(clicks, NOON + 2 * HOUR) == 2


def test_a_table_made_later_is_left_out_and_the_newest_has_no_number(clicks):
    commit(clicks.parent / "ads", 0, NOON + HOUR)
    assert versions_at(clicks.parent, NOON) == {"clicks": 0}
    assert versions_at(clicks.parent, NOON + HOUR) == {"ads": 0, "clicks": 1}
    assert versions_at(clicks.parent, None) == {"ads": None, "clicks": None}


def test_an_instant_before_all_tables_is_an_error_and_an_empty_lake_is_none(clicks, tmp_path):
    with pytest.raises(HistoryError, match=r"there was no table yet: the first commit is of 2026-01-10T12:00:00.000Z"):
        versions_at(clicks.parent, NOON - HOUR)
    assert versions_at(tmp_path / "nowhere", NOON) == {}
