"""What an import knows of itself: counts by reason within bounds, and a record that comes back whole or not at all."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from cli.importing import tally as tallies
from cli.importing.tally import OTHER_REASONS, Tally, read_tally, write_tally
from data_contracts.landing import Event


def judged(table: str, reason: str = "") -> tuple[Event, str]:
    return Event(table, datetime(2024, 1, 1, tzinfo=UTC), {}), reason


def test_rows_are_counted_by_table_and_rejected_lines_by_reason():
    tally = Tally()
    tally.count([judged("ads"), judged("clicks"), judged("ads"), judged("ads", "ad_id: missing")])
    tally.count([judged("ads"), judged("ads", "ad_id: missing"), judged("clicks", "where: cannot be computed")])
    assert tally.rows == {"ads": 3, "clicks": 1}
    assert tally.rejected == {"ads": {"ad_id: missing": 2}, "clicks": {"where: cannot be computed": 1}}
    assert tally.events == 7


def test_the_newest_row_is_known_and_rejected_lines_do_not_count():
    tally = Tally()
    for day, reason in ((2, ""), (3, "ad_id: missing"), (1, "")):
        tally.count([(Event("ads", datetime(2024, 1, day, tzinfo=UTC), {}), reason)])
    assert tally.newest == "2024-01-02T00:00:00.000000Z"


def test_reasons_beyond_a_bound_are_counted_together(monkeypatch):
    monkeypatch.setattr(tallies, "REASONS_LIMIT", 2)
    tally = Tally()
    for byte in (1, 2, 3, 2, 4):
        tally.count([judged("ads", f"not valid UTF-8 at byte {byte}")])
    assert tally.rejected["ads"] == {
        "not valid UTF-8 at byte 1": 1, "not valid UTF-8 at byte 2": 2, OTHER_REASONS: 2,
    }  # fmt: skip


def test_a_record_comes_back_as_it_was_written(tmp_path):
    file = tmp_path / "imports" / "a.json"
    tally = Tally(Counter(ads=3), {"ads": Counter({"ad_id: missing": 2})}, "day-1.csv", 7, "2024-01-02")
    write_tally(file, tally)
    assert read_tally(file) == tally
    tally.is_finished = True
    write_tally(file, tally)
    assert read_tally(file) == tally
    assert [path.name for path in file.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"rows": {}, "rejected": [], "member": "", "line": 0}'])
def test_a_damaged_record_is_none(tmp_path, content):
    assert read_tally(tmp_path / "a.json") is None
    (tmp_path / "a.json").write_text(content)
    assert read_tally(tmp_path / "a.json") is None
