"""The import as a whole: a shop's log, bad lines, running again, being cut off, the example of the docs."""

import gzip
import io
import json
import re
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from cli import import_log as importing
from cli.archive import SourceError
from cli.import_log import Imported, import_log
from cli.mapping import MappingError
from data_contracts.landing import read_segment
from data_contracts.pseudonym import load_key, pseudonym

ROOT = Path(__file__).parents[2]
MAPPING = """[[ad_impressions]]
members = 'day-(?P<day>[0-9]+)\\.csv(\\.gz)?'
[ad_impressions.columns]
impression_id = "CAST(md5('impression/' || day || '/' || line_number) AS UUID)"
user_id = "visitor"
ad_id = "banner"
timestamp = "at"
[[clicks]]
members = 'day-(?P<day>[0-9]+)\\.csv(\\.gz)?'
where = "clicked = 1"
[clicks.columns]
click_id = "CAST(md5('click/' || day || '/' || line_number) AS UUID)"
impression_id = "CAST(md5('impression/' || day || '/' || line_number) AS UUID)"
timestamp = "CAST(\\"at\\" AS TIMESTAMPTZ) + INTERVAL 1 SECOND"
"""
DAY_1 = b"visitor,banner,at,clicked\nann,red,2024-03-01T10:00:00Z,0\nbob,blue,2024-03-01T10:00:05Z,1\n"
DAY_2 = (
    b"visitor,banner,at,clicked\neve,blue\nann@example.org,,2024-03-02T09:00:00Z,0\n\xff,red,2024-03-02T09:00:00Z,0\n"
)
RESULT = Imported({"ad_impressions": 3, "clicks": 1}, {"ad_impressions": 2})


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def mapping(tmp_path) -> Path:
    (tmp_path / "shop.toml").write_text(MAPPING)
    return tmp_path / "shop.toml"


@pytest.fixture
def shop(tmp_path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "day-1.csv").write_bytes(DAY_1)
    (folder / "day-2.csv").write_bytes(DAY_2)
    (folder / "notes.txt").write_bytes(b"not a log")
    return folder


def impression(impression_id: str, user_id: str, ad_id: str, timestamp: str) -> dict[str, str]:
    return {"ad_id": ad_id, "impression_id": impression_id, "timestamp": timestamp, "user_id": user_id}


def landed(settings) -> list[dict]:
    return [line for path in sorted(settings.landing.glob("*/*.jsonl")) for line in read_segment(path)]


def test_a_log_arrives_in_sealed_segments_with_its_origins(settings, mapping, shop, console):
    assert import_log(settings, mapping, shop, console) == RESULT
    assert list(settings.landing.glob("*/*.open")) == []
    red, blue = "26d0fc8a-4ac0-1339-6844-6ad4d4c1798a", "1972875a-122b-32a5-b2f6-292d6c840f0d"
    ann, bob = (pseudonym(load_key(settings.pseudonym_key), name) for name in ("ann", "bob"))
    at, later, clicked_at = (f"2024-03-01T10:00:{second}.000000Z" for second in ("00", "05", "06"))
    click = {"click_id": "7e40a5ec-d609-d758-640e-e178865be794", "impression_id": blue, "timestamp": clicked_at}
    assert [(line["table"], line["origin"], line["received_at"], line["row"]) for line in landed(settings)[:3]] == [
        ("ad_impressions", "shop/day-1.csv:2", at, impression(red, ann, "red", at)),
        ("ad_impressions", "shop/day-1.csv:3", later, impression(blue, bob, "blue", later)),
        ("clicks", "shop/day-1.csv:3", clicked_at, click),
    ]


def test_a_malformed_line_goes_on_with_its_reason_and_place(settings, mapping, shop, console):
    import_log(settings, mapping, shop, console)
    assert [line for line in landed(settings) if line["row"] is None] == [
        {
            "table": "ad_impressions",
            "origin": "shop/day-2.csv:2",
            "received_at": "2019-11-30T23:59:59.000000Z",
            "error": "expected 4 fields, found 2",
            "row": None,
        },
        {
            "table": "ad_impressions",
            "origin": "shop/day-2.csv:4",
            "received_at": "2019-11-30T23:59:59.000000Z",
            "error": "not valid UTF-8 at byte 1",
            "row": None,
        },
    ]


def test_no_raw_user_id_reaches_the_disk(settings, mapping, shop, console):
    import_log(settings, mapping, shop, console)
    files = [path for path in settings.home.rglob("*") if path.is_file()]
    assert len(files) == 4  # a segment, its slot's lock, the key, the marker
    for path in files:
        assert not re.search(rb"\b(ann|bob|eve)\b", path.read_bytes()), path


@pytest.mark.parametrize("form", ["folder", "tar.gz", "csv", "csv.gz"])
def test_every_form_of_source_gives_the_same_rows(settings, mapping, shop, console, tmp_path, form):
    source = shop
    if form == "tar.gz":
        source = tmp_path / "shop.tar.gz"
        with tarfile.open(source, "w:gz") as archive:
            archive.add(shop / "day-1.csv", "day-1.csv")
    elif form != "folder":
        source = tmp_path / f"day-1.{form}"
        source.write_bytes(DAY_1 if form == "csv" else gzip.compress(DAY_1))
    import_log(settings, mapping, source, console)
    rows = [(line["table"], line["row"]["impression_id"]) for line in landed(settings) if line["row"]]
    assert rows[:3] == [
        ("ad_impressions", "26d0fc8a-4ac0-1339-6844-6ad4d4c1798a"),
        ("ad_impressions", "1972875a-122b-32a5-b2f6-292d6c840f0d"),
        ("clicks", "1972875a-122b-32a5-b2f6-292d6c840f0d"),
    ]


def test_the_same_source_and_mapping_are_imported_once(settings, mapping, shop, console):
    import_log(settings, mapping, shop, console)
    before = landed(settings)
    second = import_log(settings, mapping, shop, console)
    assert second == Imported(RESULT.rows, RESULT.malformed, already_imported=True)
    assert landed(settings) == before
    assert console.file.getvalue().splitlines()[-1] == "shop was imported before: nothing to do"


def test_again_imports_the_same_rows_a_second_time(settings, mapping, shop, console):
    import_log(settings, mapping, shop, console)
    before = landed(settings)
    assert import_log(settings, mapping, shop, console, again=True) == RESULT
    assert landed(settings) == before * 2


@pytest.mark.parametrize("changed", ["mapping", "source"])
def test_a_changed_mapping_or_source_is_another_import(settings, mapping, shop, console, changed):
    import_log(settings, mapping, shop, console)
    file = mapping if changed == "mapping" else shop / "day-1.csv"
    file.write_bytes(file.read_bytes() + b"\n")
    assert not import_log(settings, mapping, shop, console).already_imported
    assert len(list((settings.home / "imports").iterdir())) == 2


def test_a_damaged_marker_means_importing_again(settings, mapping, shop, console):
    import_log(settings, mapping, shop, console)
    (marker,) = (settings.home / "imports").iterdir()
    assert json.loads(marker.read_text())["rows"] == {"ad_impressions": 3, "clicks": 1}
    marker.write_text("{")
    assert import_log(settings, mapping, shop, console) == RESULT


def test_an_import_that_failed_half_way_is_not_taken_for_done(settings, mapping, shop, console, monkeypatch):
    class Failing(importing.LandingWriter):
        def append(self, events):
            if self._lines:
                raise OSError(28, "No space left on device")
            super().append(events)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(importing, "LandingWriter", Failing)
        import_log(settings, mapping, shop, console)
    first = landed(settings)
    assert [line["origin"] for line in first] == ["shop/day-1.csv:2", "shop/day-1.csv:3", "shop/day-1.csv:3"]
    assert not (settings.home / "imports").exists()
    assert import_log(settings, mapping, shop, console) == RESULT
    assert landed(settings)[len(first) :][: len(first)] == first


def test_an_import_killed_by_the_system_may_be_run_again(settings, mapping, shop, console, tmp_path):
    (shop / "day-3.csv").write_bytes(DAY_1 * 8_000)
    command = f"""
from pathlib import Path
from rich.console import Console
from data_contracts.settings import load
from cli.import_log import import_log
import_log(load({{"CLICKLAKE_HOME": {str(settings.home)!r}}}), Path({str(mapping)!r}), Path({str(shop)!r}), Console())
"""
    with subprocess.Popen([sys.executable, "-c", command], cwd=ROOT, stdout=subprocess.PIPE) as killed:
        while not any(path.stat().st_size for path in settings.landing.glob("*/*.open")):
            assert killed.poll() is None, "ended before it could be killed"
        killed.send_signal(signal.SIGKILL)
    assert not (settings.home / "imports").exists()
    imported = import_log(settings, mapping, shop, console)
    # The header is there 8,000 times: 7,999 times it is a line like any other, whose click cannot be judged.
    assert imported.rows == {"ad_impressions": 3 + 23_999, "clicks": 1 + 8_000}
    assert imported.malformed == {"ad_impressions": 2, "clicks": 7_999}
    ids = Counter(line["row"]["click_id"] for line in landed(settings) if line["table"] == "clicks" and line["row"])
    assert len(ids) == 8_001


def test_nothing_is_written_when_the_mapping_does_not_fit_the_last_member(settings, mapping, shop, console):
    (shop / "day-9.csv").write_bytes(b"visitor,at,clicked\n")
    with pytest.raises(MappingError, match=r'columns\.ad_id: Binder Error: Referenced column "banner" not found'):
        import_log(settings, mapping, shop, console)
    assert not settings.home.exists()


def test_a_section_that_matches_no_member_is_an_error(settings, mapping, shop, console):
    mapping.write_text(MAPPING + "[[ads]]\nmembers = 'ads\\.csv'\nreceived_at = 'at'\n[ads.columns]\nad_id = 'id'\n")
    with pytest.raises(MappingError) as raised:
        import_log(settings, mapping, shop, console)
    assert str(raised.value) == f"{mapping}: ads.members: ads\\.csv matches no member of shop"
    assert not settings.home.exists()


def test_a_source_that_is_not_there_is_an_error(settings, mapping, console, tmp_path):
    with pytest.raises(SourceError, match=r"nowhere: cannot be read: No such file or directory"):
        import_log(settings, mapping, tmp_path / "nowhere", console)
    assert not settings.home.exists()


def test_without_a_terminal_the_report_is_plain_lines(settings, mapping, shop, console):
    import_log(settings, mapping, shop, console)
    lines = console.file.getvalue().splitlines()
    assert lines[:2] == ["ad_impressions: 3 rows, 2 malformed lines", "clicks: 1 rows"]
    assert re.fullmatch(r"4 rows in \d+\.\d s, [\d,]+ rows/s", lines[2])
    assert len(lines) == 3


def test_on_a_terminal_a_bar_counts_rows(settings, mapping, shop):
    terminal = Console(file=io.StringIO(), width=200, force_terminal=True)
    import_log(settings, mapping, shop, terminal)
    assert re.search(r"importing.*━.*4 rows, [\d,]+ rows/s", terminal.file.getvalue())


def test_small_batches_give_the_same_lines(settings, mapping, shop, console, monkeypatch):
    monkeypatch.setattr(importing, "BATCH_LINES", 1)
    assert import_log(settings, mapping, shop, console) == RESULT
