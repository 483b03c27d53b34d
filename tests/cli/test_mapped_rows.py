"""Lines to events by the SQL of a mapping: types, nulls, users, and SQL that does not fit."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.archive import Member
from cli.csv_lines import LineBatch
from cli.mapped_rows import MemberMapper
from cli.mapping import load_mapping
from data_contracts.landing import Event

NOW = datetime(2030, 1, 1, tzinfo=UTC)
AT = datetime(2019, 11, 24, 10, tzinfo=UTC)
HEAD = """[[ad_impressions]]
members = '(?P<place>[a-z]+)/views\\.csv'
"""
COLUMNS = {"impression_id": "id", "user_id": "visitor", "ad_id": "ad", "timestamp": "'2019-11-24T10:00:00Z'"}


def mapping_text(keys: str = "", features: str = "", **columns: str) -> str:
    lines = [f"{name} = '''{text}'''" for name, text in (COLUMNS | columns).items()]
    return "\n".join([HEAD + keys, "[ad_impressions.columns]", *lines, "[ad_impressions.features]", features])


def mapper(folder: Path, text: str, names: str) -> MemberMapper:
    (folder / "mine.toml").write_text(text)
    member = Member("north/views.csv", "log/north/views.csv", 0)
    return MemberMapper(
        load_mapping(folder / "mine.toml"), member, names.split(","), lambda user: f"pseudonym of {user}"
    )


def events(folder: Path, text: str, names: str, *rows: str) -> list[Event]:
    batch = LineBatch(list(range(2, len(rows) + 2)), [row.split(",") for row in rows])
    return list(mapper(folder, text, names).events(batch, NOW))


def rows(folder: Path, text: str, names: str, *lines: str) -> list[dict]:
    return [dict(event.row) for event in events(folder, text, names, *lines)]


def test_a_line_becomes_an_event_with_its_origin_and_its_users_pseudonym(tmp_path):
    (event,) = events(tmp_path, mapping_text(location="place"), "id,visitor,ad", "i1,ann,a1")
    assert event == Event(
        table="ad_impressions",
        received_at=AT,
        row={
            "impression_id": "i1",
            "user_id": "pseudonym of ann",
            "ad_id": "a1",
            "timestamp": "2019-11-24T10:00:00.000000Z",
            "location": "north",
        },
        origin="log/north/views.csv:2",
    )


@pytest.mark.parametrize(
    ("column", "value", "written"),
    [
        ("position", "3", 3),
        ("position", "3.0", 3),
        ("position", "3.7", None),
        ("position", "abc", None),
        ("position", "99999999999", None),
        ("propensity", "0.0294117647", 0.0294117647),
        ("propensity", "1e-6", 1e-6),
        ("propensity", "nan", None),
        ("propensity", "inf", None),
        ("propensity", "", None),
        ("campaign_id", "", None),
        ("campaign_id", "it's \u00e9", "it's \u00e9"),
    ],
)
def test_a_value_is_written_in_its_contracts_type_or_left_out(tmp_path, column, value, written):
    (row,) = rows(tmp_path, mapping_text(**{column: "x"}), "id,visitor,ad,x", f"i1,ann,a1,{value}")
    assert (row.get(column), type(row.get(column))) == (written, type(written))


def test_one_bad_value_does_not_touch_its_neighbours(tmp_path):
    found = rows(tmp_path, mapping_text(position="x"), "id,visitor,ad,x", "i1,u,a,1", "i2,u,a,abc", "i3,u,a,3")
    assert [(row["impression_id"], row.get("position")) for row in found] == [("i1", 1), ("i2", None), ("i3", 3)]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2019-11-24 00:00:34.762830+00:00", "2019-11-24T00:00:34.762830Z"),
        ("2019-11-24T01:00:00+02:00", "2019-11-23T23:00:00.000000Z"),
        ("2019-11-24 10:00:00", "2019-11-24T10:00:00.000000Z"),
        ("yesterday", None),
        ("infinity", None),
        ("290000-01-01", None),
        ("", None),
    ],
)
def test_an_instant_is_written_canonically_and_is_when_the_row_was_known(tmp_path, text, written):
    (event,) = events(tmp_path, mapping_text(timestamp="x"), "id,visitor,ad,x", f"i1,ann,a1,{text}")
    assert event.row.get("timestamp") == written
    assert event.received_at == (datetime.fromisoformat(written) if written else NOW)


def test_a_bad_value_that_several_expressions_share_fails_none_of_them(tmp_path):
    text = mapping_text(
        timestamp="CAST(x AS TIMESTAMPTZ)",
        location="CAST(x AS TIMESTAMPTZ) + INTERVAL 1 SECOND",
        campaign_id="'on ' || CAST(x AS TIMESTAMPTZ)",
    )
    bad, good = rows(tmp_path, text, "id,visitor,ad,x", "i1,u,a,soon", "i2,u,a,2019-11-24")
    assert sorted(bad) == ["ad_id", "impression_id", "user_id"]
    assert (good["timestamp"], good["location"]) == ("2019-11-24T00:00:00.000000Z", "2019-11-24 00:00:01+00")


def test_a_row_without_a_required_value_goes_on_for_the_contract_to_reject(tmp_path):
    (event,) = events(tmp_path, mapping_text(), "id,visitor,ad", "i1,ann,")
    assert (event.error, "ad_id" in event.row) == ("", False)


def test_a_stated_received_at_is_when_the_row_was_known(tmp_path):
    text = mapping_text(keys="received_at = 'known'")
    known, unknown = events(tmp_path, text, "id,visitor,ad,known", "i1,u,a,2019-11-25T00:00:00Z", "i2,u,a,soon")
    assert (known.received_at, known.row["timestamp"]) == (
        datetime(2019, 11, 25, tzinfo=UTC),
        "2019-11-24T10:00:00.000000Z",
    )
    assert unknown == Event(
        "ad_impressions", NOW, None, "log/north/views.csv:3", "received_at cannot be computed for this line"
    )


def test_where_leaves_lines_out_and_one_it_cannot_judge_is_reported(tmp_path):
    text = mapping_text(keys="where = 'shown = 1'")
    found = events(tmp_path, text, "id,visitor,ad,shown", "i1,u,a,1", "i2,u,a,0", "i3,u,a,", "i4,u,a,maybe")
    assert [(event.row and event.row["impression_id"], event.origin[-1], event.error) for event in found] == [
        (None, "5", "where cannot be computed for this line"),
        ("i1", "2", ""),
    ]


def test_features_are_kept_columns_and_expressions_as_text_without_the_absent(tmp_path):
    text = mapping_text(
        keys="keep_features = 'f_[0-9]'", features="len = 'length(f_1)'\nf_2 = \"'mine'\"\nbad = 'f_1::INT'"
    )
    (row,) = rows(tmp_path, text, "id,visitor,ad,f_1,f_2,f_3,f_10", "i1,ann,a1,abc,x,,y")
    assert row["features"] == {"f_1": "abc", "len": "3", "f_2": "mine"}


def test_without_any_feature_there_is_no_map(tmp_path):
    (row,) = rows(tmp_path, mapping_text(keys="keep_features = 'f'"), "id,visitor,ad,f", "i1,ann,a1,")
    assert "features" not in row


def test_the_features_of_a_prediction_are_numbers(tmp_path):
    text = """[[model_predictions]]
members = '.*'
keep_features = 'hour|bad'
[model_predictions.columns]
prediction_id = "id"
impression_id = "id"
user_id = "'someone'"
ad_id = "id"
model_version = "'7'"
probability = "'0.5'"
predicted_at = "'2019-11-24T10:00:00Z'"
source = "'model'"
"""
    ((row,), (event,)) = (rows(tmp_path, text, "id,hour,bad", "i,7,x"), events(tmp_path, text, "id,hour,bad", "i,7,x"))
    assert (row["features"], row["probability"], event.received_at) == ({"hour": 7.0}, 0.5, AT)


def test_a_boolean_is_written_as_one(tmp_path):
    text = """[[clicks]]
members = '.*'
[clicks.columns]
click_id = "id"
impression_id = "id"
timestamp = "'2019-11-24T10:00:00Z'"
clicked = "kind = 'click'"
"""
    assert [row["clicked"] for row in rows(tmp_path, text, "id,kind", "i,click", "i,view")] == [True, False]


def test_a_member_that_two_sections_read_gives_both_their_rows(tmp_path):
    text = mapping_text() + "[[ads]]\nmembers = '.*'\nreceived_at = \"'2019-01-01'\"\n[ads.columns]\nad_id = 'ad'\n"
    found = events(tmp_path, text, "id,visitor,ad", "i1,u,a1", "i2,u,a2")
    assert [(event.table, event.origin[-1]) for event in found] == [
        ("ad_impressions", "2"), ("ad_impressions", "3"), ("ads", "2"), ("ads", "3"),
    ]  # fmt: skip


def test_line_numbers_and_oddly_named_columns_can_be_used(tmp_path):
    text = mapping_text(ad_id='"a ""b""" || line_number', location="c1", campaign_id="column_4")
    (row,) = rows(tmp_path, text, 'id,visitor,a "b",column_4,c1', "i1,ann,a,x,y")
    assert (row["ad_id"], row["campaign_id"], row["location"]) == ("a2", "x", "y")


def test_a_columns_bare_name_is_that_column_though_it_be_a_word_of_sql(tmp_path):
    text = mapping_text(ad_id="Group", location="user-item affinity")
    (row,) = rows(tmp_path, text, "id,visitor,group,user-item affinity", "i1,ann,a1,0.5")
    assert (row["ad_id"], row["location"]) == ("a1", "0.5")


def test_a_comment_in_sql_ends_with_its_expression(tmp_path):
    (row,) = rows(tmp_path, mapping_text(ad_id="ad -- the banner"), "id,visitor,ad", "i1,ann,a1")
    assert row["ad_id"] == "a1"


def test_the_same_lines_give_the_same_events_whatever_the_batches(tmp_path):
    text = mapping_text(impression_id="CAST(md5(place || line_number) AS UUID)")
    lines = [[str(number), "ann", "a"] for number in range(2, 102)]
    one = mapper(tmp_path, text, "id,visitor,ad")
    whole = list(one.events(LineBatch(list(range(2, 102)), lines), NOW))
    parts = [
        event
        for start in range(0, 100, 7)
        for event in one.events(LineBatch(list(range(2, 102))[start : start + 7], lines[start : start + 7]), NOW)
    ]
    assert parts == whole
    assert whole[0].row["impression_id"] == "ccadc2a6-6655-d0f3-62a1-728b3d11e3c9"
