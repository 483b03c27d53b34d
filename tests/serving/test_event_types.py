import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.schema import Column, Table
from data_contracts.tables import AD_IMPRESSIONS, ADS, CLICKS, USERS
from serving.event_types import are_canonical_uuids, request_type

GOOD = "5c1c1c1c-0000-4000-8000-00000000000a"


@pytest.mark.parametrize("table", [AD_IMPRESSIONS, CLICKS, ADS, USERS], ids=lambda table: table.name)
def test_a_request_states_the_columns_that_an_event_states_and_needs_those_without_a_default(table: Table) -> None:
    fields = msgspec.structs.fields(request_type(table))
    assert [field.name for field in fields] == sorted(column.name for column in table.event_columns)
    needed = {column.name for column in table.event_columns if column.default is None and not column.nullable}
    assert {field.name for field in fields if field.required} == needed


def test_what_equals_its_default_or_is_null_is_left_out() -> None:
    event = msgspec.json.decode(
        b"""{"click_id": "c", "impression_id": "i", "timestamp": "2019-11-30T12:00:00Z", "clicked": true,
             "user_id": null}""",
        type=request_type(CLICKS),
    )
    assert msgspec.json.encode(event) == b'{"click_id":"c","impression_id":"i","timestamp":"2019-11-30T12:00:00Z"}'


def test_a_column_of_a_type_that_no_request_has_is_refused_at_start() -> None:
    table = Table("t", "", (Column("scores", "ARRAY<FLOAT>", ""),), key=("scores",))
    with pytest.raises(TypeError, match="scores: no request type for ARRAY<FLOAT>"):
        request_type(table)


@given(st.lists(st.uuids().map(str), max_size=4))
def test_each_uuid_is_canonical_as_python_writes_it(texts: list[str]) -> None:
    assert are_canonical_uuids(texts)


@pytest.mark.parametrize(
    "text",
    [
        "", GOOD.upper(), GOOD.replace("-", ""), f"{{{GOOD}}}", f"urn:uuid:{GOOD}", f"{GOOD}\n", f" {GOOD}", GOOD[:-1],
        GOOD + "0", GOOD.replace("a", "g"), GOOD.replace("a", "\uff41"), GOOD.replace("-", "_"), f"{GOOD},{GOOD}",
        GOOD.replace("a", "\0"),
    ],
)  # fmt: skip
def test_one_text_that_is_none_spoils_all(text: str) -> None:
    assert not are_canonical_uuids([text])
    assert not are_canonical_uuids([GOOD, text, GOOD])


@given(st.lists(st.text(alphabet="0aF-,g", max_size=40), max_size=3))
def test_texts_are_canonical_when_each_is_what_python_makes_of_it(texts: list[str]) -> None:
    def is_canonical(text: str) -> bool:
        try:
            return str(uuid.UUID(text)) == text
        except ValueError:
            return False

    assert are_canonical_uuids(texts) == all(map(is_canonical, texts))
