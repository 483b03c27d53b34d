import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.landing import canonical_row, instant_text
from data_contracts.schema import Table
from data_contracts.tables import AD_IMPRESSIONS, ADS, CLICKS, USERS
from serving.event_rows import Items, RowReader, Times, instant_texts
from serving.problems import FieldError, ProblemError

NOW = datetime(2019, 11, 30, 12, 30, tzinfo=UTC)
ID = "5c1c1c1c-0000-4000-8000-00000000000a"
OTHER = "5c1c1c1c-0000-4000-8000-00000000000b"
GOOD = {"impression_id": ID, "user_id": "jane", "ad_id": "shoes", "timestamp": "2019-11-30T12:00:00Z"}


def read(body: Any, table: Table = AD_IMPRESSIONS) -> Items:
    reader = RowReader(table, batch_limit=1000, oldest_days=30, pseudonym_of=lambda user: f"pseudonym of {user}")
    return reader.read(json.dumps(body).encode(), NOW)


def row(**changes: Any) -> Any:
    (content,) = read(GOOD | changes).rows
    return json.loads(content)


def test_a_row_is_canonical_whatever_the_client_wrote() -> None:
    body = GOOD | {
        "timestamp": "2019-11-30T14:00:00.5+02:00",
        "position": 2,
        "request_id": None,
        "device_type": "unknown",
        "features": {"z": True, "share": 0.5, "hour": 12, "whole": 2.0, "text": "2.0", "münchen": "ü"},
    }
    items = read(body)
    assert (items.identities, items.is_array, items.skewed, items.broken) == ([ID], False, set(), {})
    assert items.rows[0].decode() == (
        '{"ad_id":"shoes","features":{"hour":"12","münchen":"ü","share":"0.5","text":"2.0","whole":"2.0","z":"true"},'
        f'"impression_id":"{ID}","position":2,"timestamp":"2019-11-30T12:00:00.500000Z",'
        '"user_id":"pseudonym of jane"}'
    )


def test_a_row_is_the_one_that_an_import_of_the_same_event_lands() -> None:
    body = GOOD | {"features": {"a": "1", "b": 'ü\n\u001f"\\/'}, "position": 3, "propensity": 0.25}
    imported = body | {"user_id": "pseudonym of jane", "timestamp": "2019-11-30T12:00:00.000000Z"}
    assert read(body).rows == [canonical_row(imported)]


@pytest.mark.parametrize("name", ["device_type", "location", "campaign_id", "experiment", "consent", "features"])
def test_a_default_that_is_stated_is_left_out_also_where_it_is_escaped(name: str) -> None:
    default = {column.name: column.default for column in AD_IMPRESSIONS.columns}[name]
    stated = {} if name == "features" else default
    assert name not in row(**{name: stated})
    escaped = json.dumps(GOOD | {name: stated}).replace("unknown", "\\u0075nknown").replace('"none"', '"non\\u0065"')
    reader = RowReader(AD_IMPRESSIONS, 1000, 30, str)
    for body in (escaped, f"[{escaped}]"):
        assert name not in json.loads(reader.read(body.encode(), NOW).rows[0])


def test_a_user_is_known_by_pseudonym_in_row_and_id() -> None:
    items = read({"user_id": "jane", "consent": "granted"}, USERS)
    assert items.identities == ["pseudonym of jane"]
    assert items.rows == [b'{"consent":"granted","user_id":"pseudonym of jane"}']
    assert read({"ad_id": "jane"}, ADS).rows == [b'{"ad_id":"jane"}']


def test_a_click_may_leave_its_user_out() -> None:
    click = {"click_id": ID, "impression_id": OTHER, "timestamp": "2019-11-30T12:00:00Z"}
    without = read(click, CLICKS).rows[0]
    assert without == (
        f'{{"click_id":"{ID}","impression_id":"{OTHER}","timestamp":"2019-11-30T12:00:00.000000Z"}}'.encode()
    )
    assert b'"user_id":"pseudonym of jane"' in read(click | {"user_id": "jane"}, CLICKS).rows[0]


def test_of_an_array_each_item_is_a_row_or_broken_in_its_place() -> None:
    items = read(
        [
            GOOD,
            GOOD | {"colour": "red"},
            GOOD | {"impression_id": OTHER, "timestamp": "2019-11-30T12:36:00Z"},
            GOOD | {"ad_id": "a\0"},
            7,
            GOOD | {"impression_id": "x"},
            GOOD | {"timestamp": "2019-10-01T00:00:00Z"},
        ]
    )
    assert items.identities == [ID, "", OTHER, "", "", "", ""]
    assert [bool(content) for content in items.rows] == [True, False, True, False, False, False, False]
    assert items.skewed == {2}
    assert items.broken == {
        1: (FieldError("colour", "unknown_field"),),
        3: (FieldError("ad_id", "nul_character"),),
        4: (FieldError("body", "wrong_type"),),
        5: (FieldError("impression_id", "not_a_canonical_uuid"),),
        6: (FieldError("timestamp", "too_old"),),
    }


EVENTS = st.fixed_dictionaries(
    {
        "impression_id": st.sampled_from([ID, OTHER, "x"]),
        "user_id": st.sampled_from(["jane", "", 7]),
        "ad_id": st.text(max_size=3),
        "timestamp": st.sampled_from(
            ["2019-11-30T12:00:00Z", "2019-11-30T13:00:00+02:00", "2019-11-30T12:36:00Z", "1999-11-30T12:00:00Z", "x"]
        ),
    },
    optional={
        "device_type": st.sampled_from(["unknown", "phone", None]),
        "features": st.dictionaries(
            st.text(max_size=3), st.text(max_size=3) | st.integers() | st.booleans(), max_size=2
        ),
    },
)


@settings(deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_an_item_of_an_array_is_read_as_it_is_alone(events: list[dict[str, Any]]) -> None:
    together = read(events)
    for place, event in enumerate(events):
        try:
            alone = read(event)
        except ProblemError as problem:
            assert together.broken[place] == problem.errors
        else:
            assert together.rows[place] == alone.rows[0]
            assert (place in together.skewed) == (alone.skewed == {0})


@pytest.mark.parametrize(
    ("days", "earliest"),
    [
        (30, datetime(2019, 10, 31, 12, 30, tzinfo=UTC)),
        (7273, datetime(2000, 1, 1, 12, 30, tzinfo=UTC)),
        (7274, datetime(2000, 1, 1, tzinfo=UTC)),
        (10**12, datetime(2000, 1, 1, tzinfo=UTC)),
    ],
)
def test_no_event_is_older_than_the_limit_or_the_year_2000(days: int, earliest: datetime) -> None:
    assert Times.around(NOW, days).earliest == earliest


SECONDS = st.integers(-62_000_000_000, 253_000_000_000)


@given(st.lists(st.tuples(SECONDS, st.integers(0, 999_999), st.integers(-12, 12)), min_size=1))
def test_instants_are_written_as_landing_writes_them(parts: list[tuple[int, int, int]]) -> None:
    instants = [
        datetime.fromtimestamp(0, timezone(timedelta(hours=hours))) + timedelta(seconds=seconds, microseconds=micros)
        for seconds, micros, hours in parts
    ]
    assert instant_texts(instants) == [instant_text(instant) for instant in instants]
