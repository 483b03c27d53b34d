"""A disk whose power can be cut: an ext4 of its own in an image file, mounted by a loop device. Needs root.

A cut is EXT4_IOC_SHUTDOWN without a flush of the journal: what the file system has not given to its device by then is
gone. What was given to the device stays; a device that loses what it took without a flush is not played.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = (2).to_bytes(4, "little")
OPTIONS = "loop,commit=600"
"""No commit of the journal comes by itself during a test: only what was synced is sure to be there."""


class Disk:
    """An empty ext4 at `folder`/mounted; what is there after a cut is what a disk would hold."""

    def __init__(self, folder: Path, size_bytes: int = 128 << 20) -> None:
        self.root = folder / "mounted"
        self._images = [folder / "disk-0.img"]
        self._size_bytes = size_bytes
        self._is_mounted = False

    def __enter__(self) -> "Disk":
        with self._images[0].open("wb") as image:
            image.truncate(self._size_bytes)
        self._ran("mkfs.ext4", "-q", "-F", str(self._images[0]))
        self.root.mkdir()
        self._mount()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_mounted:
            self._ran("umount", "--lazy", str(self.root))

    def sync(self) -> None:
        """All that was written so far is on the disk."""
        self._ran("sync", "--file-system", str(self.root))

    def cut(self) -> None:
        """Nothing reaches the disk any more; those who write get an error."""
        folder = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(folder)

    def restore(self) -> None:
        """Mounts what the disk held at the cut: a copy, so that one who still has files of the old one open may."""
        self._ran("umount", "--lazy", str(self.root))
        self._is_mounted = False
        held = self._images[-1]
        self._images.append(held.with_name(f"disk-{len(self._images)}.img"))
        self._ran("cp", "--sparse=always", str(held), str(self._images[-1]))
        held.unlink()
        self._mount()

    def _mount(self) -> None:
        self._ran("mount", "-o", OPTIONS, str(self._images[-1]), str(self.root))
        self._is_mounted = True

    def _ran(self, *command: str) -> None:
        tool = shutil.which(command[0], path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        if os.geteuid() or tool is None:
            pytest.fail(f"a power cut needs root and {command[0]} (Debian: e2fsprogs, mount): run it as root")
        ended = subprocess.run([tool, *command[1:]], capture_output=True, text=True, check=False)
        if ended.returncode:
            pytest.fail(f"a power cut needs a loop-mounted ext4, and {' '.join(command)} says: {ended.stderr.strip()}")
