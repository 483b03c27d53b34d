"""Sources and their members: folders, archives, single files, several of them; what cannot be read says where."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest

from cli.importing.archive import SourceError, opened_members, size_of, source_digest
from cli.importing.text_lines import line_blocks


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


def tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def read(*sources: Path, wanted=lambda path: True) -> list[tuple[str, str, bytes]]:
    return [
        (member.path, member.origin, b"".join(block for _, block in line_blocks(stream, member.origin)))
        for member, stream in opened_members(sources, wanted)
    ]


@pytest.mark.parametrize(("name", "mode"), [("log.tar.gz", "w:gz"), ("log.tgz", "w:gz"), ("log.tar", "w")])
def test_members_of_an_archive_in_its_order(tmp_path, name, mode):
    packed = {"./z/a.csv": b"1", "b.csv.gz": gzip.compress(b"2"), "c.txt": b"3", "d.tsv.zst": zstd(b"4")}
    source = tar(tmp_path / name, packed, mode)
    assert read(source, wanted=lambda path: not path.endswith("txt")) == [
        ("z/a.csv", f"{name}/z/a.csv", b"1"),
        ("b.csv.gz", f"{name}/b.csv.gz", b"2"),
        ("d.tsv.zst", f"{name}/d.tsv.zst", b"4"),
    ]


def test_an_archive_may_be_packed_by_zstd(tmp_path):
    plain = tar(tmp_path / "log.tar", {"a.csv": b"1"}, "w")
    (tmp_path / "log.tar.zst").write_bytes(zstd(plain.read_bytes()))
    assert read(tmp_path / "log.tar.zst") == [("a.csv", "log.tar.zst/a.csv", b"1")]


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


@pytest.mark.parametrize(
    ("name", "content"), [("log.csv", b"1"), ("log.csv.gz", gzip.compress(b"1")), ("log.json.zst", zstd(b"1"))]
)
def test_a_single_file_is_its_own_member(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) == [(name, name, b"1")]
    assert read(tmp_path / name, wanted=lambda path: False) == []


def test_a_zstd_file_of_several_frames_is_read_to_its_end(tmp_path):
    (tmp_path / "log.csv.zst").write_bytes(zstd(b"a\n1\n") + zstd(b"2\n"))
    assert read(tmp_path / "log.csv.zst") == [("log.csv.zst", "log.csv.zst", b"a\n1\n2\n")]


def test_several_sources_are_read_one_after_the_other(tmp_path):
    (tmp_path / "day").mkdir()
    (tmp_path / "day" / "b.csv").write_bytes(b"2")
    (tmp_path / "a.csv").write_bytes(b"1")
    assert read(tmp_path / "day", tmp_path / "a.csv") == [("b.csv", "day/b.csv", b"2"), ("a.csv", "a.csv", b"1")]


def test_two_members_of_one_path_are_refused(tmp_path):
    for day in ("1", "2"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "a.csv").write_bytes(b"1")
    for one, two in (("1", "2"), ("1", "1")):
        with pytest.raises(SourceError) as raised:
            read(tmp_path / one, tmp_path / two)
        assert str(raised.value) == f"a.csv is there twice: in {tmp_path / one}, in {tmp_path / two}"


def test_a_position_says_how_much_of_all_files_was_read(tmp_path):
    for name, content in (("a.csv", b"12345"), ("b.csv", b"123")):
        (tmp_path / name).write_bytes(content)
    sources, positions = [tmp_path / "a.csv", tmp_path / "b.csv"], []
    for member, stream in opened_members(sources, lambda path: True):
        positions.append(member.position())
        stream.read()
        positions.append(member.position())
    assert positions == [0, 5, 5, 8]
    assert size_of(sources, lambda path: True) == 8


@pytest.mark.parametrize(
    ("name", "content"),
    [("log.tar.gz", b"no archive"), ("log.tar", b"no archive"), ("log.csv.zst", b"no zstd"), ("log.csv.gz", b"text")],
)
def test_what_is_not_what_its_ending_says_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=rf"{name}(:1)?: cannot be read"):
        read(tmp_path / name)


@pytest.mark.parametrize(("name", "pack"), [("log.csv.gz", gzip.compress), ("log.csv.zst", zstd)])
def test_a_file_that_ends_too_early_is_refused(tmp_path, name, pack):
    lines = b"".join(b"%d,%d\n" % (number, number * 7919) for number in range(20_000))
    packed = pack(lines)
    (tmp_path / name).write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError, match=rf"{name}(:1)?: cannot be read"):
        read(tmp_path / name)


def digest(folder: Path, mapping: bytes, files: dict[str, bytes]) -> str:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return source_digest(mapping, [folder], lambda path: path.endswith(".csv"))


def test_the_digest_changes_with_mapping_source_bytes_and_paths_only(tmp_path):
    first = digest(tmp_path / "1", b"m", {"a.csv": b"1", "b.csv": b"2"})
    assert digest(tmp_path / "2", b"m", {"b.csv": b"2", "a.csv": b"1", "notes.txt": b"x"}) == first
    others = [
        digest(tmp_path / "3", b"n", {"a.csv": b"1", "b.csv": b"2"}),
        digest(tmp_path / "4", b"m", {"a.csv": b"1", "b.csv": b"3"}),
        digest(tmp_path / "5", b"m", {"a.csv": b"1", "c.csv": b"2"}),
        digest(tmp_path / "6", b"m", {"a.csv": b"12", "b.csv": b""}),
    ]
    assert len({first, *others}) == 5


def test_the_digest_of_files_is_of_mapping_names_sizes_and_bytes(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"bc")
    (tmp_path / "d.csv").write_bytes(b"e")
    assert source_digest(b"a", [tmp_path / "a.csv", tmp_path / "d.csv"], lambda path: True) == (
        hashlib.sha256(b"a\0a.csv\x002\0bc\0d.csv\x001\0e").hexdigest()
    )


def test_a_source_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"nowhere\.csv: cannot be read: No such file or directory"):
        source_digest(b"", [tmp_path / "nowhere.csv"], lambda path: True)
