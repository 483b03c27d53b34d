"""The members of a source that is imported: the files of a folder, of a .tar.gz, or one .csv or .csv.gz."""

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from cli.errors import CommandError

READ_ERRORS = (OSError, EOFError, zlib.error, tarfile.TarError)
TAR_SUFFIXES = (".tar.gz", ".tgz", ".tar")
LINE_LIMIT = 1 << 20
"""Bytes of the longest line that is read; a longer one is malformed."""


class SourceError(CommandError, ValueError):
    """A source that cannot be read; the message names file and line."""


@dataclass(frozen=True)
class Member:
    """One file of a source: its path there, the origin its lines carry, and its bytes before any decompression."""

    path: str
    origin: str
    size: int


def opened_members(source: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[Member, IO[bytes]]]:
    """The members whose path is wanted, in a stable order, each open until the next one. Raises SourceError."""
    try:
        if source.is_dir():
            yield from _folder_members(source, wanted)
        elif source.name.lower().endswith(TAR_SUFFIXES):
            yield from _tar_members(source, wanted)
        elif source.name.lower().endswith((".csv", ".csv.gz")):
            if wanted(source.name):
                with source.open("rb") as file:
                    yield Member(source.name, source.name, source.stat().st_size), _decompressed(source.name, file)
        else:
            raise SourceError(f"{source}: not a source; accepted: a folder, .csv, .csv.gz, {', '.join(TAR_SUFFIXES)}")
    except READ_ERRORS as error:
        raise SourceError(f"{source}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def source_digest(mapping: bytes, source: Path, wanted: Callable[[str], bool]) -> str:
    """SHA-256 of a mapping's and a source's bytes; of a folder, the wanted files' paths, sizes and bytes. Raises
    SourceError."""
    digest = hashlib.sha256(mapping)
    try:
        for path in _wanted_files(source, wanted) if source.is_dir() else [source]:
            if source.is_dir():
                digest.update(f"\0{path.relative_to(source).as_posix()}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise SourceError(f"{source}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def numbered_lines(stream: IO[bytes], origin: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a stream with their numbers from 1; one over LINE_LIMIT bytes is cut there. Raises SourceError."""
    number = 0
    try:
        while line := stream.readline(LINE_LIMIT + 1):
            number += 1
            rest = line
            while len(rest) > LINE_LIMIT and not rest.endswith(b"\n"):
                rest = stream.readline(LINE_LIMIT + 1)
            yield number, line
    except READ_ERRORS as error:
        raise SourceError(f"{origin}:{number + 1}: cannot be read on: {error}") from None


def _folder_members(folder: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[Member, IO[bytes]]]:
    for path in _wanted_files(folder, wanted):
        inner = path.relative_to(folder).as_posix()
        with path.open("rb") as file:
            yield Member(inner, f"{folder.resolve().name}/{inner}", path.stat().st_size), _decompressed(inner, file)


def _wanted_files(folder: Path, wanted: Callable[[str], bool]) -> list[Path]:
    return [
        path for path in sorted(folder.rglob("*")) if path.is_file() and wanted(path.relative_to(folder).as_posix())
    ]


def _tar_members(source: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[Member, IO[bytes]]]:
    with tarfile.open(source, "r|*") as archive:
        for entry in archive:
            path = entry.name.removeprefix("./")
            if entry.isfile() and wanted(path) and (file := archive.extractfile(entry)):
                yield Member(path, f"{source.name}/{path}", entry.size), _decompressed(path, file)


def _decompressed(path: str, file: IO[bytes]) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file)) if path.lower().endswith(".gz") else file
