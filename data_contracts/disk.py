"""What is to outlive a power cut: files and folders on the disk, and a file replaced whole."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Returns once a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_whole(path: Path, text: str) -> None:
    """Put `text` at `path`, on the disk when this returns; at no time is less than the old or the new text there."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with unfinished.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync(path.parent)
