"""Lines to events by the SQL of a mapping: types, nulls, users, and SQL that does not fit."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from cli.importing.archive import Member
from cli.importing.line_sql import LineSql
from cli.importing.mapped_rows import MemberMapper
from cli.importing.mapping import load_mapping
from cli.importing.rows import Batch
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


def batch_of(names: str, rows: Sequence[str], first: int = 2) -> Batch:
    fields = [[field or None for field in row.split(",")] for row in rows]
    columns = {
        name: pa.array([row[place] for row in fields], pa.string()) for place, name in enumerate(names.split(","))
    }
    return Batch(pa.table({"line_number": pa.array(range(first, first + len(rows)), pa.int64()), **columns}))


def mapper(folder: Path, text: str, schema: pa.Schema) -> MemberMapper:
    (folder / "mine.toml").write_text(text)
    member = Member("north/views.csv", "log/north/views.csv")
    made = MemberMapper(
        load_mapping(folder / "mine.toml"), member, schema, lambda user: f"pseudonym of {user}", LineSql()
    )
    made.check()
    return made


def judged(folder: Path, text: str, batch: Batch) -> list[tuple[Event, str]]:
    return list(mapper(folder, text, batch.lines.schema.remove(0)).judged(batch, NOW))


def events(folder: Path, text: str, names: str, *rows: str) -> list[Event]:
    return [event for event, _ in judged(folder, text, batch_of(names, rows))]


def rows(folder: Path, text: str, names: str, *lines: str) -> list[dict]:
    return [dict(event.row) for event in events(folder, text, names, *lines)]


def refused(number: int, reason: str) -> Event:
    return Event("ad_impressions", NOW, None, f"log/north/views.csv:{number}", reason)


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
        ("propensity", "0.0294117647", 0.0294117647),
        ("propensity", "1e-6", 1e-6),
        ("propensity", "", None),
        ("campaign_id", "", None),
        ("campaign_id", "it's \u00e9", "it's \u00e9"),
    ],
)
def test_a_value_is_written_in_its_contracts_type_and_an_absent_one_left_out(tmp_path, column, value, written):
    (row,) = rows(tmp_path, mapping_text(**{column: "x"}), "id,visitor,ad,x", f"i1,ann,a1,{value}")
    assert (row.get(column), type(row.get(column))) == (written, type(written))


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("position", "3.7", "position: not a INT"),
        ("position", "abc", "position: not a INT"),
        ("position", "99999999999", "position: not a INT"),
        ("propensity", "nan", "propensity: not a DOUBLE"),
        ("timestamp", "yesterday", "timestamp: not a TIMESTAMP"),
        ("timestamp", "infinity", "timestamp: not a TIMESTAMP"),
        ("timestamp", "290000-01-01", "timestamp: not a TIMESTAMP"),
    ],
)
def test_a_stated_value_that_breaks_its_type_rejects_its_line_and_no_other(tmp_path, column, value, reason):
    good = {"position": "1", "propensity": "0.5", "timestamp": "2019-11-24T10:00:00Z"}[column]
    lines = (f"i1,u,a,{good}", f"i2,u,a,{value}", f"i3,u,a,{good}")
    one, two, three = events(tmp_path, mapping_text(**{column: "x"}), "id,visitor,ad,x", *lines)
    assert two == refused(3, reason)
    assert (one.row["impression_id"], three.row["impression_id"]) == ("i1", "i3")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2019-11-24 00:00:34.762830+00:00", "2019-11-24T00:00:34.762830Z"),
        ("2019-11-24T01:00:00+02:00", "2019-11-23T23:00:00.000000Z"),
        ("2019-11-24 10:00:00", "2019-11-24T10:00:00.000000Z"),
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
    bad, good = events(tmp_path, text, "id,visitor,ad,x", "i1,u,a,soon", "i2,u,a,2019-11-24")
    failing = ("timestamp", "location", "campaign_id")
    assert bad == refused(2, "; ".join(f"{name}: cannot be computed" for name in failing))
    assert (good.row["timestamp"], good.row["location"]) == ("2019-11-24T00:00:00.000000Z", "2019-11-24 00:00:01+00")


@pytest.mark.parametrize(
    ("line", "column", "value", "reason"),
    [("i1,ann,,3", "ad_id", None, "ad_id: missing"), ("i1,ann,a1,1001", "position", 1001, "position: above 1000")],
)
def test_a_row_that_the_contract_will_refuse_goes_on_whole_and_is_told(tmp_path, line, column, value, reason):
    batch = batch_of("id,visitor,ad,x", [line])
    ((event, why),) = judged(tmp_path, mapping_text(position="x"), batch)
    assert (event.error, event.row.get(column), why) == ("", value, reason)


def test_a_malformed_line_belongs_to_the_first_table_that_reads_its_member(tmp_path):
    batch = Batch(batch_of("id,visitor,ad", ["i1,ann,a"]).lines, [(3, "expected 3 fields, found 2")])
    (bad, why), (good, none) = judged(tmp_path, mapping_text(), batch)
    assert (bad, why) == (refused(3, "expected 3 fields, found 2"), "expected 3 fields, found 2")
    assert (good.row["impression_id"], none) == ("i1", "")


def test_a_stated_received_at_is_when_the_row_was_known(tmp_path):
    text = mapping_text(keys="received_at = 'known'")
    lines = ("i1,u,a,2019-11-25T00:00:00Z", "i2,u,a,soon", "i3,u,a,")
    known, unknown, absent = events(tmp_path, text, "id,visitor,ad,known", *lines)
    assert (known.received_at, known.row["timestamp"]) == (
        datetime(2019, 11, 25, tzinfo=UTC),
        "2019-11-24T10:00:00.000000Z",
    )
    assert unknown == refused(3, "received_at: not a TIMESTAMP")
    assert absent == refused(4, "received_at: missing")


def test_where_leaves_lines_out_and_one_it_cannot_judge_is_reported(tmp_path):
    text = mapping_text(keys="where = 'shown = 1'")
    found = events(tmp_path, text, "id,visitor,ad,shown", "i1,u,a,1", "i2,u,a,0", "i3,u,a,", "i4,u,a,maybe")
    assert [(event.row and event.row["impression_id"], event.origin[-1], event.error) for event in found] == [
        (None, "5", "where: cannot be computed"),
        ("i1", "2", ""),
    ]


def test_features_are_kept_columns_and_expressions_as_text_without_the_absent(tmp_path):
    text = mapping_text(
        keys="keep_features = 'f_[0-9]'",
        features="len = 'length(f_1)'\nf_2 = \"'mine'\"\nnone = 'TRY_CAST(f_1 AS INT)'",
    )
    (row,) = rows(tmp_path, text, "id,visitor,ad,f_1,f_2,f_3,f_10", "i1,ann,a1,abc,x,,y")
    assert row["features"] == {"f_1": "abc", "len": "3", "f_2": "mine"}


def test_a_feature_that_cannot_be_computed_rejects_its_line(tmp_path):
    text = mapping_text(features="day = 'CAST(f AS INT)'")
    bad, good = events(tmp_path, text, "id,visitor,ad,f", "i1,ann,a1,abc", "i2,ann,a1,7")
    assert (bad, good.row["features"]) == (refused(2, "features.day: cannot be computed"), {"day": "7"})


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
    good, bad = events(tmp_path, text, "id,hour,bad", "i,7,", "j,7,x")
    assert (good.row["features"], good.row["probability"], good.received_at) == ({"hour": 7.0}, 0.5, AT)
    assert (bad.row, bad.error) == (None, "features.bad: not a DOUBLE")


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
    names, lines = "id,visitor,ad", [f"{number},ann,a" for number in range(2, 102)]
    whole = batch_of(names, lines)
    one = mapper(tmp_path, text, whole.lines.schema.remove(0))
    found = list(one.judged(whole, NOW))
    parts = [batch_of(names, lines[start : start + 7], first=2 + start) for start in range(0, 100, 7)]
    assert [event for part in parts for event in one.judged(part, NOW)] == found
    assert found[0][0].row["impression_id"] == "ccadc2a6-6655-d0f3-62a1-728b3d11e3c9"


def test_columns_of_parquet_keep_their_types(tmp_path):
    text = mapping_text(
        timestamp="at", position="slot", location="upper(place_name)", keys="keep_features = 'price|day|tags|more'"
    ).replace("(?P<place>[a-z]+)", "[a-z]+")
    lines = pa.table(
        {
            "line_number": pa.array([1], pa.int64()),
            "id": ["i1"],
            "visitor": pa.array([17], pa.int64()),
            "ad": pa.array(["a1"], pa.dictionary(pa.int8(), pa.string())),
            "at": pa.array([datetime.fromisoformat("2019-11-24T11:00:00.000005")], pa.timestamp("ns")),
            "slot": pa.array([2], pa.uint8()),
            "place_name": ["rome"],
            "price": [0.1],
            "day": pa.array([date(2019, 11, 24)]),
            "tags": [["x", "y"]],
            "more": [{"a": 1, "b": None}],
        }
    )
    ((event, reason),) = judged(tmp_path, text, Batch(lines))
    assert (event.row, reason) == (
        {
            "impression_id": "i1",
            "user_id": "pseudonym of 17",
            "ad_id": "a1",
            "timestamp": "2019-11-24T11:00:00.000005Z",
            "position": 2,
            "location": "ROME",
            "features": {"price": "0.1", "day": "2019-11-24", "tags": '["x","y"]', "more": '{"a":1,"b":null}'},
        },
        "",
    )


def test_json_inside_a_text_can_be_taken_apart(tmp_path):
    text = mapping_text(ad_id="ad->>'id'", location="ad->'$.geo'->>'city'")
    batch = batch_of("id,visitor", ["i1,ann"])
    lines = batch.lines.append_column("ad", pa.array(['{"id":"a7","geo":{"city":"rome"}}']))
    ((event, _),) = judged(tmp_path, text, Batch(lines))
    assert (event.row["ad_id"], event.row["location"]) == ("a7", "rome")
