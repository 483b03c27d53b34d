"""Sources and their members: folders, archives, single files; what cannot be read says where."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from cli.archive import LINE_LIMIT, SourceError, numbered_lines, opened_members, source_digest


def tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def read(source: Path, wanted=lambda path: True) -> list[tuple[str, str, bytes]]:
    return [(member.path, member.origin, stream.read()) for member, stream in opened_members(source, wanted)]


@pytest.mark.parametrize(("name", "mode"), [("log.tar.gz", "w:gz"), ("log.tgz", "w:gz"), ("log.tar", "w")])
def test_members_of_an_archive_in_its_order(tmp_path, name, mode):
    source = tar(tmp_path / name, {"./z/a.csv": b"1", "b.csv.gz": gzip.compress(b"2"), "c.txt": b"3"}, mode)
    assert read(source, lambda path: not path.endswith("txt")) == [
        ("z/a.csv", f"{name}/z/a.csv", b"1"),
        ("b.csv.gz", f"{name}/b.csv.gz", b"2"),
    ]


def test_folders_and_links_in_an_archive_are_no_members(tmp_path):
    with tarfile.open(tmp_path / "log.tar.gz", "w:gz") as archive:
        for name, kind in (("log", tarfile.DIRTYPE), ("log/link.csv", tarfile.SYMTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/hostname"
            archive.addfile(entry)
    assert read(tmp_path / "log.tar.gz") == []


def test_members_of_a_folder_are_sorted_and_go_deep(tmp_path):
    folder = tmp_path / "log"
    (folder / "z").mkdir(parents=True)
    (folder / "z" / "a.csv").write_bytes(b"1")
    (folder / "b.csv.gz").write_bytes(gzip.compress(b"2"))
    assert read(folder) == [("b.csv.gz", "log/b.csv.gz", b"2"), ("z/a.csv", "log/z/a.csv", b"1")]


@pytest.mark.parametrize(("name", "content"), [("log.csv", b"1"), ("log.csv.gz", gzip.compress(b"1"))])
def test_a_single_file_is_its_own_member(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) == [(name, name, b"1")]
    assert read(tmp_path / name, lambda path: False) == []


def test_a_size_is_known_before_a_member_is_read(tmp_path):
    ((member, _),) = opened_members(tar(tmp_path / "log.tar.gz", {"a.csv": b"12345"}), lambda path: True)
    assert member.size == 5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.tar.gz", b"no archive", "log.tar.gz: cannot be read: "),
        ("log.zip", b"", "log.zip: not a source; accepted: a folder, .csv, .csv.gz, .tar.gz, .tgz, .tar"),
    ],
)
def test_what_is_no_source_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as raised:
        read(tmp_path / name)
    assert message in str(raised.value)


def test_an_archive_that_ends_too_early_is_refused_with_its_line(tmp_path):
    lines = b"".join(b"%d,%d\n" % (number, number * 7919) for number in range(20_000))
    whole = tar(tmp_path / "log.tar.gz", {"a.csv": lines}).read_bytes()
    (tmp_path / "log.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"log\.tar\.gz(/a\.csv:\d+)?: cannot be read"):
        for member, stream in opened_members(tmp_path / "log.tar.gz", lambda path: True):
            list(numbered_lines(stream, member.origin))


def test_a_gzip_that_is_damaged_is_refused_with_its_line(tmp_path):
    packed = bytearray(gzip.compress(b"a,b\n1,2\n" * 5_000))
    packed[-6] ^= 1
    (tmp_path / "log.csv.gz").write_bytes(packed)
    with pytest.raises(SourceError, match=r"log\.csv\.gz:\d+: cannot be read on: CRC check failed"):
        for member, stream in opened_members(tmp_path / "log.csv.gz", lambda path: True):
            list(numbered_lines(stream, member.origin))


def test_lines_are_numbered_from_1_and_only_a_line_feed_ends_one():
    lines = list(numbered_lines(io.BytesIO(b"a\r\nb\x85\x0c\rc\n\nd"), "o"))
    assert lines == [(1, b"a\r\n"), (2, b"b\x85\x0c\rc\n"), (3, b"\n"), (4, b"d")]


def test_an_endless_line_is_cut_and_the_next_keeps_its_number():
    long = b"x" * (3 * LINE_LIMIT) + b"\nnext\n"
    (one, cut), following = numbered_lines(io.BytesIO(long), "o")
    assert (one, len(cut), following) == (1, LINE_LIMIT + 1, (2, b"next\n"))


def test_a_line_of_just_the_limit_is_whole():
    line = b"x" * (LINE_LIMIT - 1) + b"\n"
    assert list(numbered_lines(io.BytesIO(line + b"next"), "o")) == [(1, line), (2, b"next")]


def test_the_digest_changes_with_mapping_source_bytes_and_paths_only(tmp_path):
    def digest(mapping: bytes, files: dict[str, bytes]) -> str:
        folder = tmp_path / f"log-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return source_digest(mapping, folder, lambda path: path.endswith(".csv"))

    first = digest(b"m", {"a.csv": b"1", "b.csv": b"2"})
    assert digest(b"m", {"b.csv": b"2", "a.csv": b"1", "notes.txt": b"x"}) == first
    others = [
        digest(b"n", {"a.csv": b"1", "b.csv": b"2"}),
        digest(b"m", {"a.csv": b"1", "b.csv": b"3"}),
        digest(b"m", {"a.csv": b"1", "c.csv": b"2"}),
        digest(b"m", {"a.csv": b"12", "b.csv": b""}),
    ]
    assert len({first, *others}) == 5


def test_the_digest_of_a_file_is_of_mapping_and_bytes(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"bc")
    # printf abc | sha256sum
    assert source_digest(b"a", tmp_path / "a.csv", lambda path: True) == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_a_source_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"nowhere\.csv: cannot be read: No such file or directory"):
        source_digest(b"", tmp_path / "nowhere.csv", lambda path: True)
