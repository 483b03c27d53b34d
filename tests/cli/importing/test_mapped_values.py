"""Values by the SQL of a mapping: in the type that the contract gives them, or refused."""

from datetime import date, datetime

import pyarrow as pa
import pytest

from cli.importing.rows import Batch
from tests.cli.importing.views import AT, NOW, batch_of, events, judged, mapping_text, refused, rows


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
