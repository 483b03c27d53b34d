"""The keyed pseudonym that stands for a user in every table; made at the edge, before anything touches a disk."""

import contextlib
import hmac
import os
import secrets
from pathlib import Path

from data_contracts.disk import sync

KEY_BYTES = 32
PURPOSE = b"user/v1"


def pseudonym(key: bytes, user_id: str) -> str:
    """UUID-shaped HMAC-SHA-256 of a raw user id; without the key it cannot be turned around or guessed."""
    text = hmac.digest(key, PURPOSE + user_id.encode(), "sha256")[:16].hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def load_key(path: Path) -> bytes:
    """The secret key of this installation, made on first use with mode 0600. Raises ValueError on a damaged file."""
    if not path.exists():
        _make_key(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} holds {len(key)} bytes, a pseudonym key has {KEY_BYTES}")
    return key


def _make_key(path: Path) -> None:
    """Put a new key at `path` whole and on disk, unless another process does it first: the link is the decision."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(unfinished)
    finally:
        unfinished.unlink(missing_ok=True)
    sync(path.parent)
