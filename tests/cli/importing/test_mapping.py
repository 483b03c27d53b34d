"""Mapping files: what they may hold, and errors that name file and key."""

from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.importing.mapping import Layout, MappingError, load_mapping

CLICKS = """[[clicks]]
members = 'a\\.csv'
[clicks.columns]
click_id = "id"
impression_id = "id"
timestamp = "at"
"""
ADS = """[[ads]]
members = 'ads\\.csv'
received_at = "'2019-11-24T00:00:00Z'"
[ads.columns]
ad_id = "id"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(text)
    return file


def test_a_section_is_read_whole(tmp_path):
    text = """[[ad_impressions]]
members = 'day-(?P<day>\\d+)\\.csv'
format = "csv"
delimiter = ";"
column_names = ["visitor", "at"]
where = "kind = 'view'"
received_at = "seen_at"
keep_features = 'f_.*'
allow_user_columns = ["cohort"]
[ad_impressions.columns]
impression_id = "id"
user_id = "visitor"
ad_id = "banner"
timestamp = "at"
[ad_impressions.features]
weekday = "day % 7"
"""
    mapping = load_mapping(written(tmp_path, text))
    (section,) = mapping.sections
    assert mapping.content == text.encode()
    assert (section.key, section.table.name) == ("ad_impressions", "ad_impressions")
    assert section.members.fullmatch("day-7.csv")["day"] == "7"
    assert section.where == "kind = 'view'"
    assert (section.received_at, section.states_received_at) == ("seen_at", True)
    assert section.keep_features.fullmatch("f_1")
    assert section.allow_user_columns == ("cohort",)
    assert section.layout == Layout("csv", ";", ("visitor", "at"))
    assert dict(section.features) == {"weekday": "day % 7"}
    assert dict(section.columns) == {"impression_id": "id", "user_id": "visitor", "ad_id": "banner", "timestamp": "at"}


def test_what_is_not_stated_has_these_defaults(tmp_path):
    (section,) = load_mapping(written(tmp_path, CLICKS)).sections
    assert (section.where, section.keep_features, dict(section.features)) == ("true", None, {})
    assert (section.allow_user_columns, section.layout) == ((), Layout("", ",", ()))


def test_received_at_is_the_rows_own_time_unless_it_is_stated(tmp_path):
    (section,) = load_mapping(written(tmp_path, CLICKS)).sections
    assert (section.received_at, section.states_received_at) == ("at", False)


def test_a_table_may_have_several_sections_and_each_is_named_by_its_place(tmp_path):
    sections = load_mapping(written(tmp_path, CLICKS + ADS + CLICKS)).sections
    assert [section.key for section in sections] == ["clicks[1]", "clicks[2]", "ads"]


def test_the_mapping_of_the_open_bandit_dataset_loads():
    mapping = load_mapping(Path(__file__).parents[3] / "conf" / "imports" / "obd.toml")
    assert [section.key for section in mapping.sections] == ["ad_impressions", "clicks", "ads"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "maps no table; known: ad_impressions, clicks, ads, users, model_predictions", id="empty"),
        pytest.param("[[labels]]\n", "unknown table labels; known: ad_impressions", id="a table that is not landed"),
        pytest.param("about = 1\n", "unknown table about", id="a key beside the tables"),
        pytest.param("[clicks]\n", "clicks must be a list of sections, each headed [[clicks]]", id="one bracket"),
        pytest.param("clicks = [1]\n", "clicks must be a list of sections", id="a list of numbers"),
        pytest.param("[[clicks\n", "not valid TOML: ", id="not TOML"),
        pytest.param("[[clicks]]\nmembres = 'x'\n", "clicks.membres: unknown key; known: members, format", id="typo"),
        pytest.param(CLICKS.replace("members = 'a\\.csv'", ""), "clicks.members is missing", id="no members"),
        pytest.param(CLICKS.replace("'a\\.csv'", "'('"), "clicks.members: not a regular expression: ", id="regex"),
        pytest.param(CLICKS.replace("'a\\.csv'", "3"), "clicks.members is 3, not text", id="not text"),
        pytest.param(ADS.replace("[ads.", "keep_features='['\n[ads."), "ads.keep_features: not a regular", id="keep"),
        pytest.param(ADS.replace("[ads.", "format='xml'\n[ads."), "ads.format is 'xml'; known: csv, tsv,", id="format"),
        pytest.param(ADS.replace("[ads.", "delimiter=''\n[ads."), "ads.delimiter is '', not one", id="no delimiter"),
        pytest.param(ADS.replace("[ads.", "delimiter='\"'\n[ads."), "ads.delimiter is '\"', not one", id="a quote"),
        pytest.param(ADS.replace("[ads.", "delimiter='é'\n[ads."), "ads.delimiter is 'é', not one", id="not ASCII"),
        pytest.param(
            ADS.replace("[ads.", "format='jsonl'\ndelimiter=';'\n[ads."),
            "ads.delimiter: jsonl has none to state",
            id="a delimiter of JSON Lines",
        ),
        pytest.param(
            ADS.replace("[ads.", "column_names='id'\n[ads."), "ads.column_names is 'id', not a list", id="one name"
        ),
        pytest.param(
            ADS.replace("[ads.", "allow_user_columns=[1]\n[ads."), "ads.allow_user_columns is [1], not a", id="number"
        ),
        pytest.param(ADS.replace("[ads.", "where=''\n[ads."), "ads.where is '', not text", id="empty where"),
        pytest.param(CLICKS + "colour = 'x'", "clicks.columns.colour: no column of clicks; known: click_id", id="col"),
        pytest.param(CLICKS + "origin = 'x'", "clicks.columns.origin: no column of clicks", id="added on the way"),
        pytest.param(CLICKS + "received_at = 'x'", "clicks.columns.received_at: no column", id="received_at's place"),
        pytest.param(ADS + "features = 'x'", "ads.columns.features: no column of ads", id="features as a column"),
        pytest.param(CLICKS + "clicked = true", "clicks.columns.clicked is True, not text", id="not SQL text"),
        pytest.param(CLICKS.replace('click_id = "id"\n', ""), "clicks.columns: click_id is missing, and", id="needed"),
        pytest.param(CLICKS + "[clicks.features]\nx = '1'", "clicks: clicks has no column features", id="no features"),
        pytest.param("[[clicks]]\nmembers='x'\ncolumns = 3", "clicks.columns is 3, not a section", id="no section"),
        pytest.param(
            ADS.replace("received_at = \"'2019-11-24T00:00:00Z'\"", ""), "ads.received_at is missing", id="when"
        ),
        pytest.param(CLICKS + CLICKS + "x = ''", "clicks[2].columns.x is '', not text", id="the second section"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_key(tmp_path, text, message):
    file = written(tmp_path, text)
    with pytest.raises(MappingError) as raised:
        load_mapping(file)
    assert str(raised.value).startswith(f"{file}: {message}")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(MappingError, match=r"nowhere\.toml: No such file or directory"):
        load_mapping(tmp_path / "nowhere.toml")
    (tmp_path / "latin.toml").write_bytes(b"x = '\xe9'")
    with pytest.raises(MappingError, match=r"latin\.toml: not valid TOML"):
        load_mapping(tmp_path / "latin.toml")


def test_the_command_line_shows_a_mapping_error_as_one_line():
    assert issubclass(MappingError, CommandError)
    assert issubclass(MappingError, ValueError)


@pytest.mark.parametrize(
    ("keys", "member", "layout"),
    [
        ("", "log.csv", Layout("csv", ",")),
        ("", "x/LOG.CSV.GZ", Layout("csv", ",")),
        ("delimiter = ';'", "log.csv.zst", Layout("csv", ";")),
        ("", "log.tsv", Layout("tsv", "\t")),
        ("", "log.jsonl.gz", Layout("jsonl", ",")),
        ("", "log.ndjson", Layout("jsonl", ",")),
        ("", "part-0.json.zst", Layout("jsonl", ",")),
        ("", "log.parquet", Layout("parquet", ",")),
        ("format = 'tsv'\ncolumn_names = ['a']", "day_0.gz", Layout("tsv", "\t", ("a",))),
        ("format = 'jsonl'", "log.csv", Layout("jsonl", ",")),
    ],
)
def test_a_format_is_what_is_stated_or_else_what_the_ending_says(tmp_path, keys, member, layout):
    text = CLICKS.replace("members = 'a\\.csv'", f"members = '.*'\n{keys}")
    assert load_mapping(written(tmp_path, text)).layout_of(member) == layout


@pytest.mark.parametrize(
    ("text", "member", "message"),
    [
        (
            CLICKS.replace("a\\.csv", ".*"),
            "events.log",
            "clicks.format is missing, and events.log ends in none of .csv, .tsv, .jsonl, .ndjson, .json, .parquet "
            "(or these with .gz or .zst)",
        ),
        (
            CLICKS + ADS.replace("ads\\.csv'", "a\\.csv'\ndelimiter = ';'"),
            "a.csv",
            "clicks and ads both read a.csv, but their format, delimiter or column_names differ",
        ),
        (
            CLICKS.replace("a\\.csv'", ".*'\ncolumn_names = ['id']"),
            "a.parquet",
            "clicks.column_names: a.parquet is Parquet, which has names of its own",
        ),
    ],
)
def test_a_member_whose_format_cannot_be_told_is_refused(tmp_path, text, member, message):
    file = written(tmp_path, text)
    with pytest.raises(MappingError) as raised:
        load_mapping(file).layout_of(member)
    assert str(raised.value) == f"{file}: {message}"
