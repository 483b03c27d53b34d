"""Text in blocks of whole lines: numbers, cut lines, where to go on, what cannot be read."""

import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.importing import text_lines
from cli.importing.archive import SourceError, opened_members
from cli.importing.text_lines import LINE_LIMIT, after_line, line_blocks, line_count, may_be_overlong


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(text_lines, "BLOCK_BYTES", 4)


def blocks(content: bytes) -> list[tuple[int, bytes]]:
    return list(line_blocks(io.BytesIO(content), "o"))


def test_a_block_ends_with_its_last_whole_line_and_the_rest_goes_into_the_next(small_blocks):
    assert blocks(b"a\nb\ncc\ndddddd\ne") == [(1, b"a\nb\n"), (3, b"cc\n"), (4, b"dddddd\n"), (5, b"e")]


def test_only_a_line_feed_ends_a_line():
    assert blocks(b"a\r\nb\x85\x0c\rc\n\nd") == [(1, b"a\r\nb\x85\x0c\rc\n\n"), (4, b"d")]
    assert line_count(b"a\r\nb\x85\x0c\rc\n\nd") == 4


def test_nothing_has_no_block():
    assert blocks(b"") == []


def test_an_endless_line_is_cut_and_the_next_keeps_its_number():
    ((one, cut), (two, rest)) = blocks(b"x" * (5 * LINE_LIMIT) + b"\nnext\n" + b"y" * LINE_LIMIT)
    long, _, following = cut.partition(b"\n")
    assert (one, following, two, rest) == (1, b"next\n", 3, b"y" * LINE_LIMIT)
    assert LINE_LIMIT < len(long) <= 3 * LINE_LIMIT


def test_a_block_with_a_line_over_the_limit_is_known():
    assert not may_be_overlong(b"x" * LINE_LIMIT + b"\nnext\n")
    assert not may_be_overlong(b"x" * LINE_LIMIT)
    assert may_be_overlong(b"x" * (LINE_LIMIT + 1) + b"\nnext\n")
    assert may_be_overlong(b"x" * (LINE_LIMIT + 1))


@given(st.lists(st.sampled_from([b"a", b"bb", b"", b"ccccc"]), max_size=12), st.integers(0, 14), st.booleans())
def test_going_on_after_a_line_gives_the_lines_behind_it(lines, after, is_ended):
    content = b"\n".join(lines) + (b"\n" if is_ended and lines else b"")
    expected = list(enumerate(content.removesuffix(b"\n").split(b"\n") if content else [], 1))[after:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_lines, "BLOCK_BYTES", 4)
        found = [
            line
            for number, block in after_line(iter(blocks(content)), after)
            for line in enumerate(block.removesuffix(b"\n").split(b"\n"), number)
        ]
    assert found == expected


def test_a_gzip_that_is_damaged_is_refused_with_its_line(tmp_path):
    packed = bytearray(gzip.compress(b"a,b\n1,2\n" * 500_000))
    packed[-6] ^= 1
    (tmp_path / "log.csv.gz").write_bytes(packed)
    with pytest.raises(SourceError, match=r"log\.csv\.gz:[78]\d{5}: cannot be read on: CRC check failed"):
        for member, stream in opened_members([tmp_path / "log.csv.gz"], lambda path: True):
            list(line_blocks(stream, member.origin))
