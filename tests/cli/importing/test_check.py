"""--check: the first lines of each kind of member, what they become, and nothing written."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from cli.importing import check
from cli.importing.archive import SourceError
from cli.importing.check import check_import
from cli.importing.mapping import MappingError

MAPPING = """[[ads]]
members = 'ads-.*\\.csv'
received_at = "'2024-03-01'"
[ads.columns]
ad_id = "id"
topic = "upper(topic)"

[[users]]
members = 'users\\.jsonl'
received_at = "since"
[users.columns]
user_id = "name"
consent = "consent"
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "ads-1.csv").write_text("id,topic\n" + "a,sport\n,news\n" * 5)
    (tmp_path / "log" / "ads-2.csv").write_text("id,topic\nb,sport\n")
    (tmp_path / "log" / "users.jsonl").write_text('{"name": "ann", "since": "2024-01-01", "consent": "maybe"}\nann\n')
    (tmp_path / "mine.toml").write_text(MAPPING)
    return tmp_path


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=160)


def test_each_kind_of_member_is_checked_once_and_only_its_first_lines(settings, folder, console, monkeypatch):
    monkeypatch.setattr(check, "LINES_CHECKED", 4)
    tally = check_import(settings, folder / "mine.toml", [folder / "log"], console)
    assert dict(tally.rows) == {"ads": 2}
    assert tally.rejected == {
        "ads": {"ad_id: missing": 1},
        "users": {
            "consent: not one of granted, denied, unknown": 1,
            "not valid JSON: JSON is malformed: invalid character (byte 0)": 1,
        },
    }
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines[:2] == ["log/ads-1.csv: the first 4 lines at most", "log/users.jsonl: the first 4 lines at most"]
    assert "          1  ad_id: missing, first at log/ads-1.csv:3" in lines
    assert "topic          SPORT                        SPORT" in lines
    assert lines[-1] == "nothing was written; user_id is shown under a key made for this check"


def test_another_format_is_another_kind(settings, folder, console):
    (folder / "mine.toml").write_text(MAPPING.replace("ads-.*\\.csv", "ads-.*"))
    (folder / "log" / "ads-3.jsonl").write_text('{"id": "c", "topic": "news"}\n')
    assert check_import(settings, folder / "mine.toml", [folder / "log"], console).rows["ads"] == 6


def test_nothing_is_written_and_no_raw_id_is_shown(settings, folder, console):
    (folder / "log" / "users.jsonl").write_text('{"name": "ann", "since": "2024-01-01", "consent": "granted"}\n')
    check_import(settings, folder / "mine.toml", [folder / "log"], console)
    assert not settings.home.exists()
    assert "granted" in console.file.getvalue()
    assert "ann" not in console.file.getvalue()


def test_a_source_that_is_not_there_is_named(settings, folder, console):
    with pytest.raises(SourceError, match=r"lag: cannot be read: No such file or directory"):
        check_import(settings, folder / "mine.toml", [folder / "lag"], console)


def test_a_mapping_that_does_not_fit_is_refused_as_by_the_import(settings, folder, console):
    (folder / "mine.toml").write_text(MAPPING.replace('"name"', '"nickname"'))
    with pytest.raises(MappingError, match=r'users\.columns\.user_id: .*"nickname".*has: name, since, consent\)'):
        check_import(settings, folder / "mine.toml", [folder / "log"], console)
