"""The files of one or several sources: a folder's, a tar archive's, or a file by itself, unpacked as they are read."""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from cli.errors import CommandError

READ_ERRORS = (OSError, EOFError, zlib.error, tarfile.TarError)
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.zst")


class SourceError(CommandError, ValueError):
    """A source that cannot be read; the message names file and line."""


@dataclass(frozen=True)
class Member:
    """One file of a source: its path there and the origin its lines carry. `position` says how many bytes of all
    sources, as they lie on disk, have been read so far."""

    path: str
    origin: str
    position: Callable[[], int] = field(default=lambda: 0, compare=False)


def opened_members(sources: Sequence[Path], wanted: Callable[[str], bool]) -> Iterator[tuple[Member, IO[bytes]]]:
    """The members whose path is wanted, in a stable order, each open until the next one. Raises SourceError, also when
    two of them have one path: neither a mapping nor an import that goes on could tell them apart."""
    came_from: dict[str, Path] = {}
    finished = 0
    for source in sources:
        for file in source_files(source, wanted):
            try:
                with file.open("rb") as packed:
                    for member, stream in _members(source, file, packed, finished, wanted):
                        if member.path in came_from:
                            raise SourceError(f"{member.path} is there twice: in {came_from[member.path]}, in {source}")
                        came_from[member.path] = source
                        yield member, stream
                    finished += file.stat().st_size
            except READ_ERRORS as error:
                raise SourceError(f"{file}: cannot be read: {_reason(error)}") from None


def source_files(source: Path, wanted: Callable[[str], bool]) -> list[Path]:
    """The files on disk that hold a source's wanted members, in a stable order. Raises SourceError."""
    try:
        source.stat()
    except OSError as error:
        raise SourceError(f"{source}: cannot be read: {_reason(error)}") from None
    if source.is_dir():
        return [path for path in sorted(source.rglob("*")) if path.is_file() and wanted(_inside(source, path))]
    return [source] if _is_tar(source) or wanted(source.name) else []


def size_of(sources: Sequence[Path], wanted: Callable[[str], bool]) -> int:
    """Bytes on disk of all files that will be read."""
    return sum(file.stat().st_size for source in sources for file in source_files(source, wanted))


def source_digest(mapping: bytes, sources: Sequence[Path], wanted: Callable[[str], bool]) -> str:
    """SHA-256 of a mapping's bytes and the paths, sizes and bytes of all files that it reads. Raises SourceError."""
    digest = hashlib.sha256(mapping)
    for source in sources:
        try:
            for file in source_files(source, wanted):
                digest.update(f"\0{_inside(source, file)}\0{file.stat().st_size}\0".encode())
                with file.open("rb") as content:
                    while block := content.read(1 << 20):
                        digest.update(block)
        except OSError as error:
            raise SourceError(f"{source}: cannot be read: {_reason(error)}") from None
    return digest.hexdigest()


def _members(
    source: Path, file: Path, packed: IO[bytes], finished: int, wanted: Callable[[str], bool]
) -> Iterator[tuple[Member, IO[bytes]]]:
    """The members in one file on disk, which is open as `packed`."""

    def position() -> int:
        return finished + packed.tell()

    if source.is_dir():
        inner = _inside(source, file)
        yield Member(inner, f"{source.resolve().name}/{inner}", position), _unpacked(inner, packed)
    elif _is_tar(source):
        with tarfile.open(fileobj=_unpacked(source.name, packed), mode="r|*") as archive:
            for entry in archive:
                path = entry.name.removeprefix("./")
                if entry.isfile() and wanted(path) and (content := archive.extractfile(entry)):
                    yield Member(path, f"{source.name}/{path}", position), _unpacked(path, content)
    else:
        yield Member(source.name, source.name, position), _unpacked(source.name, packed)


def _unpacked(path: str, packed: IO[bytes]) -> IO[bytes]:
    if path.lower().endswith((".gz", ".tgz")):
        return cast(IO[bytes], gzip.open(packed))
    if path.lower().endswith(".zst"):
        return io.BufferedReader(pa.CompressedInputStream(packed, "zstd"))
    return packed


def _is_tar(source: Path) -> bool:
    return source.name.lower().endswith(TAR_ENDINGS)


def _inside(source: Path, file: Path) -> str:
    return source.name if file == source else file.relative_to(source).as_posix()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
