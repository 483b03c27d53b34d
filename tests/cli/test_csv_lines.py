"""CSV line by line: a malformed line costs only itself, and what is said of it quotes nothing of it."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import csv_lines
from cli.archive import LINE_LIMIT, SourceError
from cli.csv_lines import CsvLines


def batches(content: bytes, size: int = 100) -> list[tuple[list[int], list[list[str]], list[tuple[int, str]]]]:
    return [(batch.numbers, batch.rows, batch.malformed) for batch in CsvLines(io.BytesIO(content), "o").batches(size)]


def test_good_lines_keep_their_numbers():
    assert batches(b"a,b\n1,2\n\n3,\n") == [([2, 4], [["1", "2"], ["3", ""]], [])]


def test_quotes_and_line_ends_of_windows_are_read():
    assert batches(b'a,b\r\n"1,""x""",2\r\n') == [([2], [['1,"x"', "2"]], [])]


def test_a_mark_at_the_start_of_the_file_is_not_part_of_a_name():
    assert CsvLines(io.BytesIO(b"\xef\xbb\xbfa,b\n"), "o").names == ("a", "b")


def test_a_column_without_a_name_is_called_by_its_place():
    assert CsvLines(io.BytesIO(b",a,\n"), "o").names == ("column_1", "a", "column_3")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"1", "expected 2 fields, found 1"),
        (b"1,2,3", "expected 2 fields, found 3"),
        (b'1,"2', "not valid CSV: unexpected end of data"),
        (b'1,"2"x', """not valid CSV: ',' expected after '"'"""),
        (b"ann,\xff", "not valid UTF-8 at byte 5"),
        (b"1,2\r3,4", "not valid CSV: new-line character seen in unquoted field"),
        (b"1," + b"x" * 200_000, "not valid CSV: field larger than field limit (131072)"),
        (b"x" * LINE_LIMIT + b"yz", "longer than 1048576 bytes"),
    ],
)
def test_a_malformed_line_costs_only_itself(line, error):
    assert batches(b"a,b\n1,2\n" + line + b"\n3,4\n") == [([2, 4], [["1", "2"], ["3", "4"]], [(3, error)])]


@given(st.binary(min_size=1, max_size=60).filter(lambda line: b"\n" not in line))
def test_any_bytes_are_either_a_row_or_malformed_or_blank(line):
    ((numbers, rows, malformed),) = batches(b"a,b\n" + line + b"\n")
    assert len(numbers) + len(malformed) == (0 if not line.rstrip(b"\r") else 1)
    assert [len(row) for row in rows] == [2] * len(numbers)


@given(st.lists(st.lists(st.text(alphabet='a",;\u00e9 '), min_size=2, max_size=2)))
def test_rows_that_were_written_quoted_come_back(rows):
    lines = [",".join('"' + field.replace('"', '""') + '"' for field in row) for row in rows]
    ((_, found, malformed),) = batches("\n".join(["a,b", *lines]).encode(), size=1_000)
    assert (found, malformed) == (rows, [])


def test_batches_end_at_their_size_in_lines_or_bytes(monkeypatch):
    content = b"a,b\n" + b"1,2\n" * 5
    assert [numbers for numbers, _, _ in batches(content, size=2)] == [[2, 3], [4, 5], [6]]
    monkeypatch.setattr(csv_lines, "BATCH_BYTES", 8)
    assert [numbers for numbers, _, _ in batches(content)] == [[2, 3], [4, 5], [6]]


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
