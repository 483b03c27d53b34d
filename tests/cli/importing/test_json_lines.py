"""JSON Lines: keys as columns, values as text, and a malformed line that costs only itself."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.importing import json_lines, text_lines
from cli.importing.archive import SourceError
from cli.importing.json_lines import JsonLines
from cli.importing.text_lines import LINE_LIMIT


def read(content: bytes, after: int = 0, names: tuple[str, ...] = ()) -> tuple[list[dict], list[tuple[int, str]]]:
    lines = JsonLines(io.BytesIO(content), "o", names)
    found = list(lines.batches(lines.schema.names, after))
    return [row for batch in found for row in batch.lines.to_pylist()], [bad for b in found for bad in b.malformed]


def test_a_column_is_a_key_of_any_line_and_null_where_it_is_absent():
    rows, malformed = read(b'{"a":"x"}\n\n{"b":"y","a":null}\n{}\n')
    assert rows == [
        {"line_number": 1, "a": "x", "b": None},
        {"line_number": 3, "a": None, "b": "y"},
        {"line_number": 4, "a": None, "b": None},
    ]
    assert malformed == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"1.50"', "1.50"),
        ('""', ""),
        ("7", "7"),
        ("7.0", "7.0"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("true", "true"),
        ("null", None),
        ('{"b": [1, "x", null]}', '{"b":[1,"x",null]}'),
        ('["\\u00e9"]', '["é"]'),
    ],
)
def test_a_value_is_its_text_and_what_is_nested_is_json(value, text):
    rows, _ = read(b'{"a":%s}\n{"a":1}\n' % value.encode())
    assert rows == [{"line_number": 1, "a": text}, {"line_number": 2, "a": "1"}]


def test_of_a_key_that_a_line_has_twice_the_last_counts():
    assert read(b'{"a":"1","a":"2"}\n') == ([{"line_number": 1, "a": "2"}], [])


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"ann", "not valid JSON: JSON is malformed: invalid character (byte 0)"),
        (b'{"a":1', "not valid JSON: Input data was truncated"),
        (b'{"a":1} {"a":2}', "not valid JSON: JSON is malformed: trailing characters (byte 9)"),
        (b'{"a":NaN}', "not valid JSON: JSON is malformed: invalid character (byte 5)"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a":"\xff"}', "not valid UTF-8"),
        (b'{"a":"' + b"x" * LINE_LIMIT + b'"}', "longer than 1048576 bytes"),
    ],
)
def test_a_malformed_line_costs_only_itself(line, error):
    rows, malformed = read(b'{"a":"1"}\n' + line + b'\n{"a":"3"}\n')
    assert [(row["line_number"], row["a"]) for row in rows] == [(1, "1"), (3, "3")]
    assert malformed == [(2, error)]


@given(st.lists(st.dictionaries(st.sampled_from(["k", "kk", "é"]), st.text(max_size=5), min_size=1), min_size=1))
def test_what_was_written_comes_back(objects):
    content = "".join(json.dumps(found, ensure_ascii=len(objects) % 2 == 0) + "\n" for found in objects)
    rows, _ = read(content.encode())
    assert [{key: text for key, text in row.items() if text is not None} for row in rows] == [
        {"line_number": number, **found} for number, found in enumerate(objects, 1)
    ]


def test_a_key_after_the_first_lines_is_a_column_where_it_is_named(monkeypatch):
    monkeypatch.setattr(json_lines, "SAMPLE_LINES", 1)
    content = b'{"a":1}\n{"late":2}\n'
    assert read(content)[0] == [{"line_number": 1, "a": "1"}, {"line_number": 2, "a": None}]
    assert [row["late"] for row in read(content, names=("late",))[0]] == [None, "2"]


def test_lines_up_to_the_one_reached_before_are_passed_over(monkeypatch):
    monkeypatch.setattr(text_lines, "BLOCK_BYTES", 16)
    content = b'{"a":1}\n' * 5
    assert [row["line_number"] for row in read(content, after=2)[0]] == [3, 4, 5]
    assert read(content, after=5) == ([], [])


def test_a_mark_at_the_start_is_passed_over_and_an_empty_file_has_no_rows():
    assert read(b'\xef\xbb\xbf{"a":1}') == ([{"line_number": 1, "a": "1"}], [])
    assert read(b"") == ([], [])


def test_keys_that_sql_takes_for_one_are_refused():
    with pytest.raises(SourceError, match="o: two columns are called ad"):
        JsonLines(io.BytesIO(b'{"ad":1}\n{"Ad":2}\n'), "o")
