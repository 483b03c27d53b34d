"""What is to outlive a power cut: files and folders on the disk, and a file replaced whole."""

import os
from functools import partial
from pathlib import Path


def sync(path: Path) -> None:
    """Returns once a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_whole(path: Path, text: str, mode: int = 0o666) -> None:
    """Put `text` at `path`, on the disk when this returns; at no time is less than the old or the new text there. The
    umask takes from `mode`, as of any file that is made."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with open(unfinished, "w", opener=partial(os.open, mode=mode)) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync(path.parent)
