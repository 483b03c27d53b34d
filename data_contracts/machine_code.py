"""Machine code that numba has made, kept for the next process: to compile a feature set takes seconds, and every worker
of Spark, every job and every start of serving needs it.

Numba keeps it beside the file that the source is in, but does not look whether it is whole; so its checksum is kept.
"""

import hashlib
import os
from pathlib import Path

from data_contracts.disk import replace_whole
from data_contracts.feature_set_files import ROOT

FOLDER = ROOT / ".compiled"


def kept(source: str, made_of: str) -> Path | None:
    """A file with `source`, named by all that its code is made of, so that it never means another; the code beside it,
    if there is any, is whole. None where nothing can be written."""
    name = hashlib.sha256(f"{made_of}\0{source}".encode()).hexdigest()
    file = FOLDER / f"rows_{name}.py"
    try:
        if not file.exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            replace_whole(file, source)
        if (code := _code(file)) and _checksum(code) != _stated(file):
            for each in code:
                each.unlink(missing_ok=True)
    except OSError:
        return None
    return file if os.access(FOLDER, os.W_OK) else None


def vouch(file: Path) -> None:
    """The code beside `file` is what was compiled, or proven, just now."""
    try:
        if (found := _checksum(_code(file))) != _stated(file):
            replace_whole(file.with_suffix(".sha256"), found)
    except OSError:
        return  # it is compiled again next time


def _code(file: Path) -> list[Path]:
    return sorted((file.parent / "__pycache__").glob(f"{file.stem}.*.nb?"))


def _checksum(files: list[Path]) -> str:
    return hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()


def _stated(file: Path) -> str:
    stated = file.with_suffix(".sha256")
    return stated.read_text() if stated.exists() else ""
