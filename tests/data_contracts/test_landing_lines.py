"""Lines of landing segments (data_contracts/landing.py): their bytes, and that no damage goes unseen."""

import zlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.landing import DamagedLineError, Event, event_line, instant_text, parsed_line

NOON = datetime(2019, 11, 30, 12, tzinfo=UTC)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ROWS = st.dictionaries(TEXT, VALUES, max_size=5)
INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=9))]),
                        min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1))  # fmt: skip  # noqa: DTZ001


def test_a_line_is_canonical_json_with_its_checksum_last():
    event = Event("clicks", NOON, {"b": 1, "a": "\u00e9", "nothing": None}, "log.csv:7")
    body = (
        '{"table":"clicks","origin":"log.csv:7","received_at":"2019-11-30T12:00:00.000000Z","row":{"a":"\u00e9","b":1}'
    )
    assert event_line(event, "log.csv:7") == f'{body},"_c":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def test_a_line_without_a_row_carries_its_error():
    line = event_line(Event("clicks", NOON, None, "log.csv:7", "expected 3 fields, found 2"), "log.csv:7")
    assert parsed_line(line) == {
        "table": "clicks",
        "origin": "log.csv:7",
        "received_at": "2019-11-30T12:00:00.000000Z",
        "error": "expected 3 fields, found 2",
        "row": None,
    }


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (NOON, "2019-11-30T12:00:00.000000Z"),
        (datetime(2019, 11, 30, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=9))), "2019-11-30T03:00:00.000005Z"),
    ],
)
def test_an_instant_is_written_in_utc_with_microseconds(instant, text):
    assert instant_text(instant) == text


@given(TEXT, TEXT, INSTANTS, ROWS, TEXT)
def test_an_event_comes_back_from_its_line(table, origin, received_at, row, error):
    line = event_line(Event(table, received_at, row, error=error), origin)
    parsed = parsed_line(line)
    assert (parsed["table"], parsed["origin"], parsed.get("error", "")) == (table, origin, error)
    assert datetime.fromisoformat(parsed["received_at"]) == received_at
    assert parsed["row"] == {key: value for key, value in row.items() if value is not None}
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")


@given(ROWS)
def test_the_order_of_a_rows_keys_does_not_change_its_line(row):
    turned = dict(reversed(row.items()))
    assert event_line(Event("clicks", NOON, row), "o") == event_line(Event("clicks", NOON, turned), "o")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        event_line(Event("ads", NOON, {"x": number}), "o")


@given(ROWS, st.data())
def test_every_truncation_of_a_line_is_detected(row, data):
    line = event_line(Event("clicks", NOON, row), "log.csv:7")
    with pytest.raises(DamagedLineError):
        parsed_line(line[: data.draw(st.integers(0, len(line) - 1))])


def test_every_single_flipped_bit_of_a_line_is_detected():
    line = event_line(Event("clicks", NOON, {"click_id": "c1"}, "log.csv:7"), "log.csv:7")
    for place in range(len(line)):
        for bit in range(8):
            flipped = line[:place] + bytes([line[place] ^ 1 << bit]) + line[place + 1 :]
            with pytest.raises(DamagedLineError):
                parsed_line(flipped)


@pytest.mark.parametrize("line", [b"", b"\n", bytes(100), bytes(100) + b"\n", b"{}\n", b',"_c":"00000000"}\n'])
def test_what_is_not_one_of_our_lines_is_damaged(line):
    with pytest.raises(DamagedLineError):
        parsed_line(line)
