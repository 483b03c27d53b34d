"""Lines to events by the SQL of a mapping: which lines become rows, whose, when, and what is refused."""

from datetime import UTC, datetime

import pytest

from cli.importing.rows import Batch
from data_contracts.landing import Event
from tests.cli.importing.views import AT, NOW, batch_of, events, judged, mapper, mapping_text, refused, rows


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
