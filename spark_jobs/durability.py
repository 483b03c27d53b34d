"""Delta commits on this machine's disk: nobody else syncs them, and a power cut may leave the newest torn.

`make_durable` syncs what was committed since the last time and notes how far it came; `set_aside_damaged` takes away
commits after that point that did not survive. What is before it is never touched.

Hadoop writes a file of checksums beside each file, and does not read a file whose checksums are torn.
"""

import contextlib
import os
import shutil
import zlib
from pathlib import Path

from data_contracts.disk import replace_whole, sync
from spark_jobs.delta_log import LOG, DamagedCommitError, added_files, versions

NOTE = "durable_version"
PARQUET_END = b"PAR1"


def durable_version(table: Path) -> int:
    """The newest version known to be on disk; -1 when none is."""
    try:
        return int((table / LOG / NOTE).read_text())
    except (FileNotFoundError, ValueError):
        return -1


def make_durable(table: Path) -> None:
    """Returns once every version of the table is on disk, with its files and folders."""
    held, known = versions(table), durable_version(table)
    later = [version for version in held if version > known]
    if not later:
        return
    files = {file.path for version in later for file in added_files(table, version) if file.path.exists()}
    folders = {parent for path in files for parent in path.parents if parent.is_relative_to(table)}
    log = {path for path in (table / LOG).iterdir() if "_last_checkpoint" in path.name or _version(path) > known}
    sums = {_sums(path) for path in files if _sums(path).exists()}
    for path in sorted(files | sums | log):
        sync(path)
    for folder in [*sorted(folders, reverse=True), table / LOG, table, table.parent]:
        sync(folder)
    replace_whole(table / LOG / NOTE, str(later[-1]))


def set_aside_damaged(table: Path, aside: Path) -> list[int]:
    """Moves the first damaged version after the durable one, and all later ones, to `aside`; which they were. They were
    never told to be done, so whoever wrote them writes again. The checksums of the others are removed: what they are
    about has been looked at, and they may be torn."""
    known = durable_version(table)
    later = [version for version in versions(table) if version > known]
    damaged = next((version for version in later if _is_damaged(table, version)), None)
    gone = [version for version in later if damaged is not None and version >= damaged]
    unusable = [
        path for path in (table / LOG).glob("*.checkpoint*.parquet") if _version(path) > known and not _is_parquet(path)
    ]
    of_gone = [path for path in (table / LOG).iterdir() if _version(path) in gone]
    if moved := {*unusable, *of_gone}:
        aside.mkdir(parents=True, exist_ok=True)
        for path in moved:
            shutil.move(path, aside / path.name)
        (table / LOG / "_last_checkpoint").unlink(missing_ok=True)  # without it, the log's own files are looked at
        sync(table / LOG)
    kept = [path for path in (table / LOG).iterdir() if path.name[0] != "." and _version(path) > known]
    files = [file.path for version in later if version not in gone for file in added_files(table, version)]
    for path in kept + files:
        _sums(path).unlink(missing_ok=True)
    return gone


def make_checkpoint_durable(checkpoint: Path) -> None:
    """Returns once all of a stream's checkpoint is on disk. Spark may still be deleting what it needs no more."""
    for path in (*checkpoint.rglob("*"), checkpoint, checkpoint.parent, checkpoint.parent.parent):
        with contextlib.suppress(FileNotFoundError):
            sync(path)


def is_whole_checkpoint(checkpoint: Path) -> bool:
    """Whether no file of a stream's checkpoint is empty or torn. What is not whole may be thrown away: streams here
    leave out what they find done."""
    entries = [path for name in ("offsets", "commits", "sources") for path in (checkpoint / name).rglob("*")]
    numbered = [path for path in entries if path.is_file() and path.name[0] != "." and _version(path) >= 0]
    done = {path.name for path in numbered if path.parent.name == "commits"}
    planned = {path.name for path in numbered if path.parent.name == "offsets"}
    identity = checkpoint / "metadata"
    if not identity.exists():
        return not numbered
    return (
        done <= planned
        and identity.read_bytes().rstrip().endswith(b"}")
        and all(_is_whole_entry(path.read_bytes()) for path in numbered)
        and all(_agrees_with_sums(path) for path in (*numbered, identity))
    )


def set_aside(checkpoint: Path, aside: Path) -> None:
    """Moves a checkpoint away, so that its stream begins anew."""
    aside.mkdir(parents=True, exist_ok=True)
    shutil.move(checkpoint, aside / f"{checkpoint.name}-{len(list(aside.iterdir()))}")


def _is_whole_entry(content: bytes) -> bool:
    return content.startswith(b"v1\n") and b"\0" not in content and content.rstrip()[-1:] in (b"}", b"-", b"1")


def _is_damaged(table: Path, version: int) -> bool:
    try:
        return not all(_is_parquet(file.path, file.size_bytes) for file in added_files(table, version))
    except DamagedCommitError:
        return True


def _is_parquet(path: Path, size: int | None = None) -> bool:
    """Whether a file is there in its stated size, and its end is the end of a Parquet file."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - len(PARQUET_END), 0))
            return file.read() == PARQUET_END and size in (None, end)
    except FileNotFoundError:
        return False


def _sums(path: Path) -> Path:
    return path.with_name(f".{path.name}.crc")


def _agrees_with_sums(path: Path) -> bool:
    """Whether a file's checksums, if it has any, are right: "crc", a null byte, how many bytes each is of, and each."""
    try:
        sums = _sums(path).read_bytes()
    except FileNotFoundError:
        return True
    content, step = path.read_bytes(), int.from_bytes(sums[4:8])
    if not step:
        return False
    parts = [content[start : start + step] for start in range(0, len(content), step)]
    return sums[8:] == b"".join(zlib.crc32(part).to_bytes(4) for part in parts)


def _version(path: Path) -> int:
    """The number that the name of a file of a log starts with; -1 when it does not."""
    number = path.name.removeprefix(".").partition(".")[0]
    return int(number) if number.isdecimal() else -1
