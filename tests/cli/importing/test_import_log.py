"""The import as a whole: a shop's log, bad lines, running again, the example of the docs."""

import gzip
import io
import re
import tarfile

import pyarrow as pa
import pytest
from rich.console import Console

from cli.importing import text_lines
from cli.importing.archive import SourceError
from cli.importing.import_log import import_log
from cli.importing.mapping import MappingError
from data_contracts.pseudonym import load_key, pseudonym
from tests.cli.importing.conftest import DAY_1, MAPPING, REJECTED, ROWS, impression, landed, outcome


def test_a_log_arrives_in_sealed_segments_with_its_origins(settings, mapping, shop, console):
    assert outcome(import_log(settings, mapping, [shop], console)) == (ROWS, REJECTED)
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
    import_log(settings, mapping, [shop], console)
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
    import_log(settings, mapping, [shop], console)
    files = [path for path in settings.home.rglob("*") if path.is_file()]
    assert len(files) == 4  # a segment, its slot's lock, the key, the marker
    for path in files:
        assert not re.search(rb"\b(ann|bob|eve)\b", path.read_bytes()), path


@pytest.mark.parametrize("form", ["folder", "tar.gz", "csv", "csv.gz", "csv.zst"])
def test_every_form_of_source_gives_the_same_rows(settings, mapping, shop, console, tmp_path, form):
    source = shop
    if form == "tar.gz":
        source = tmp_path / "shop.tar.gz"
        with tarfile.open(source, "w:gz") as archive:
            archive.add(shop / "day-1.csv", "day-1.csv")
    elif form != "folder":
        source = tmp_path / f"day-1.{form}"
        packed = {"csv": bytes, "csv.gz": gzip.compress, "csv.zst": lambda content: pa.compress(content, "zstd", True)}
        source.write_bytes(packed[form](DAY_1))
    import_log(settings, mapping, [source], console)
    rows = [(line["table"], line["row"]["impression_id"]) for line in landed(settings) if line["row"]]
    assert rows[:3] == [
        ("ad_impressions", "26d0fc8a-4ac0-1339-6844-6ad4d4c1798a"),
        ("ad_impressions", "1972875a-122b-32a5-b2f6-292d6c840f0d"),
        ("clicks", "1972875a-122b-32a5-b2f6-292d6c840f0d"),
    ]


def test_the_same_source_and_mapping_are_imported_once(settings, mapping, shop, console):
    import_log(settings, mapping, [shop], console)
    before = landed(settings)
    assert import_log(settings, mapping, [shop], console) is None
    assert landed(settings) == before
    assert console.file.getvalue().splitlines()[-1] == "shop was imported before: nothing to do"


def test_again_imports_the_same_rows_a_second_time(settings, mapping, shop, console):
    import_log(settings, mapping, [shop], console)
    before = landed(settings)
    assert outcome(import_log(settings, mapping, [shop], console, again=True)) == (ROWS, REJECTED)
    assert landed(settings) == before * 2


@pytest.mark.parametrize("changed", ["mapping", "source"])
def test_a_changed_mapping_or_source_is_another_import(settings, mapping, shop, console, changed):
    import_log(settings, mapping, [shop], console)
    file = mapping if changed == "mapping" else shop / "day-1.csv"
    file.write_bytes(file.read_bytes() + b"\n")
    assert import_log(settings, mapping, [shop], console)
    assert len(list((settings.home / "imports").iterdir())) == 2


def test_a_damaged_record_means_importing_again(settings, mapping, shop, console):
    import_log(settings, mapping, [shop], console)
    (record,) = (settings.home / "imports").iterdir()
    record.write_text("{")
    assert outcome(import_log(settings, mapping, [shop], console)) == (ROWS, REJECTED)


def test_nothing_is_written_when_the_mapping_does_not_fit_the_last_member(settings, mapping, shop, console):
    (shop / "day-9.csv").write_bytes(b"visitor,at,clicked\n")
    with pytest.raises(MappingError, match=r'columns\.ad_id: Binder Error: Referenced column "banner" not found'):
        import_log(settings, mapping, [shop], console)
    assert not settings.home.exists()


def test_a_section_that_matches_no_member_is_an_error(settings, mapping, shop, console):
    mapping.write_text(MAPPING + "[[ads]]\nmembers = 'ads\\.csv'\nreceived_at = 'at'\n[ads.columns]\nad_id = 'id'\n")
    with pytest.raises(MappingError) as raised:
        import_log(settings, mapping, [shop], console)
    assert (
        str(raised.value)
        == f"{mapping}: ads.members: ads\\.csv matches no member of shop (there: day-1.csv, day-2.csv, notes.txt)"
    )
    assert not settings.home.exists()


def test_a_source_that_is_not_there_is_an_error(settings, mapping, console, tmp_path):
    with pytest.raises(SourceError, match=r"nowhere: cannot be read: No such file or directory"):
        import_log(settings, mapping, [tmp_path / "nowhere"], console)
    assert not settings.home.exists()


def test_without_a_terminal_the_report_is_plain_lines(settings, mapping, shop, console):
    import_log(settings, mapping, [shop], console)
    lines = console.file.getvalue().splitlines()
    assert lines[:-1] == [
        "ad_impressions: 2 rows, 3 rejected",
        "          1  ad_id: missing",
        "          1  expected 4 fields, found 2",
        "          1  not valid UTF-8 at byte 1",
        "clicks: 1 rows",
        "rejected lines go to rejected_events, with their file and line",
    ]
    assert re.fullmatch(r"6 rows in \d+\.\d s, [\d,]+ rows/s", lines[-1])


def test_on_a_terminal_a_bar_counts_rows(settings, mapping, shop):
    terminal = Console(file=io.StringIO(), width=200, force_terminal=True)
    import_log(settings, mapping, [shop], terminal)
    assert re.search(r"importing.*━.*6 rows, [\d,]+ rows/s", terminal.file.getvalue())


def test_small_batches_give_the_same_lines(settings, mapping, shop, console, monkeypatch):
    monkeypatch.setattr(text_lines, "BLOCK_BYTES", 4)
    assert outcome(import_log(settings, mapping, [shop], console)) == (ROWS, REJECTED)
