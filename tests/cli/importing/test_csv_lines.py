"""CSV line by line: a malformed line costs only itself, what is said of it quotes nothing of it, and the quick way
through plain blocks changes nothing."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.importing import text_lines
from cli.importing.archive import SourceError
from cli.importing.csv_lines import CsvLines, fields_of
from cli.importing.rows import LINE_NUMBER
from cli.importing.text_lines import LINE_LIMIT


def batches(content: bytes, after: int = 0, **layout) -> list[tuple[list[int], list[list[str]], list[tuple[int, str]]]]:
    lines = CsvLines(io.BytesIO(content), "o", **layout)
    return [
        (
            batch.lines[LINE_NUMBER].to_pylist(),
            [[row[name] for name in lines.schema.names] for row in batch.lines.to_pylist()],
            batch.malformed,
        )
        for batch in lines.batches(lines.schema.names, after)
    ]


def test_good_lines_keep_their_numbers_and_an_empty_field_is_null():
    assert batches(b"a,b\n1,2\n\n3,\n") == [([2, 4], [["1", "2"], ["3", None]], [])]


def test_quotes_and_line_ends_of_windows_are_read():
    assert batches(b'a,b\r\n"1,""x""",2\r\n') == [([2], [['1,"x"', "2"]], [])]
    assert batches(b"a,b\r\n1,2\r\n,4\r\n") == [([2, 3], [["1", "2"], [None, "4"]], [])]


def test_a_mark_at_the_start_of_the_file_is_not_part_of_a_name():
    assert CsvLines(io.BytesIO(b"\xef\xbb\xbfa,b\n"), "o").schema.names == ["a", "b"]


def test_a_column_without_a_name_is_called_by_its_place():
    assert CsvLines(io.BytesIO(b",a,\n"), "o").schema.names == ["column_1", "a", "column_3"]


def test_text_without_a_header_takes_the_names_it_is_given():
    assert batches(b"1\t2\n3\t4\n", delimiter="\t", names=("a", "b")) == [([1, 2], [["1", "2"], ["3", "4"]], [])]


def test_another_delimiter_leaves_commas_alone():
    assert batches(b"a;b\n1,5;2\n", delimiter=";") == [([2], [["1,5", "2"]], [])]


def test_only_the_columns_that_are_asked_for_are_read():
    (batch,) = CsvLines(io.BytesIO(b"a,b,c\n1,2,3\n"), "o").batches(["c", "a"])
    assert batch.lines.to_pydict() == {"line_number": [2], "c": ["3"], "a": ["1"]}
    (batch,) = CsvLines(io.BytesIO(b"a,b,c\n1,2,3\n4,5\n"), "o").batches([])
    assert (batch.lines.to_pydict(), batch.malformed) == (
        {"line_number": [2]},
        [(3, "expected 3 fields, found 2")],
    )


MALFORMED = [
    (b"1", "expected 2 fields, found 1"),
    (b"1,2,3", "expected 2 fields, found 3"),
    (b'1,"2', "not valid CSV: unexpected end of data"),
    (b'1,"2"x', """not valid CSV: ',' expected after '"'"""),
    (b"ann,\xff", "not valid UTF-8 at byte 5"),
    (b"1,2\r3,4", "not valid CSV: new-line character seen in unquoted field"),
    (b"1," + b"x" * LINE_LIMIT, "longer than 1048576 bytes"),
]


@pytest.mark.parametrize(("line", "error"), MALFORMED)
def test_a_malformed_line_costs_only_itself(line, error):
    found = batches(b"a,b\n1,2\n" + line + b"\n3,4\n")
    assert [number for numbers, _, _ in found for number in numbers] == [2, 4]
    assert [row for _, rows, _ in found for row in rows] == [["1", "2"], ["3", "4"]]
    assert [bad for _, _, malformed in found for bad in malformed] == [(3, error)]


def test_a_line_that_is_not_utf_8_is_malformed_even_where_that_column_is_not_asked_for():
    (batch,) = CsvLines(io.BytesIO(b"a,b\n1,\xff\n3,4\n"), "o").batches(["a"])
    assert (batch.lines["a"].to_pylist(), batch.malformed) == (["3"], [(2, "not valid UTF-8 at byte 3")])


def test_a_long_field_is_read_whole():
    ((_, rows, malformed),) = batches(b"a,b\n1," + b"x" * 200_000 + b'\n"3",4\n')
    assert ([len(row[1]) for row in rows], malformed) == ([200_000, 1], [])


@given(st.binary(min_size=1, max_size=60).filter(lambda line: b"\n" not in line))
def test_any_bytes_are_either_a_row_or_malformed_or_blank(line):
    ((numbers, rows, malformed),) = batches(b"a,b\n" + line + b"\n")
    assert len(numbers) + len(malformed) == (0 if not line.rstrip(b"\r") else 1)
    assert [len(row) for row in rows] == [2] * len(numbers)


@given(
    st.lists(st.sampled_from([b"1,2", b"1", b"", b"\r", b",", b"a\r,b", b'"x",y', b"\xc3\xa9,y", b"\xff,y", b"1,2\r"]))
)
def test_each_line_gives_what_it_gives_alone(lines):
    expected_rows, expected_malformed = [], []
    for number, line in enumerate(lines, 2):
        fields, error = fields_of(line, ",")
        if error or len(fields) not in (0, 2):
            expected_malformed.append((number, error or f"expected 2 fields, found {len(fields)}"))
        elif fields:
            expected_rows.append((number, [field or None for field in fields]))
    found = batches(b"".join(line + b"\n" for line in [b"a,b", *lines]))
    assert [row for numbers, rows, _ in found for row in zip(numbers, rows, strict=True)] == expected_rows
    assert [bad for _, _, malformed in found for bad in malformed] == expected_malformed


@given(st.lists(st.lists(st.text(alphabet='a",;\u00e9 '), min_size=2, max_size=2)))
def test_rows_that_were_written_quoted_come_back(rows):
    lines = [",".join('"' + field.replace('"', '""') + '"' for field in row) for row in rows]
    found = batches("\n".join(["a,b", *lines]).encode())
    assert [row for _, some, _ in found for row in some] == [[field or None for field in row] for row in rows]
    assert [bad for _, _, malformed in found for bad in malformed] == []


def test_lines_up_to_the_one_reached_before_are_passed_over(monkeypatch):
    monkeypatch.setattr(text_lines, "BLOCK_BYTES", 8)
    content = b"a,b\n" + b"1,2\n" * 5
    assert [numbers for numbers, _, _ in batches(content)] == [[2], [3, 4], [5, 6]]
    assert [numbers for numbers, _, _ in batches(content, after=3)] == [[4], [5, 6]]
    assert batches(content, after=6) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "o:1: no header line: it is empty"),
        (b"\n1,2\n", "o:1: no header line: it is empty"),
        (b'a,"b\n', "o:1: no header line: not valid CSV: unexpected end of data"),
        (b"a,\xff\n", "o:1: no header line: not valid UTF-8 at byte 3"),
        (b"a,b,A\n", "o:1: two columns are called a"),
    ],
)
def test_a_file_without_a_usable_header_is_refused(content, message):
    with pytest.raises(SourceError) as raised:
        CsvLines(io.BytesIO(content), "o")
    assert str(raised.value) == message
