"""The keyed pseudonym that stands for a user in every table; made at the edge, before anything touches a disk."""

import hashlib
import hmac
import os
import secrets
import uuid
from pathlib import Path

KEY_BYTES = 32
PURPOSE = b"user/v1"


def pseudonym(key: bytes, user_id: str) -> str:
    """UUID-shaped HMAC-SHA-256 of a raw user id; without the key it cannot be turned around or guessed."""
    return str(uuid.UUID(bytes=hmac.digest(key, PURPOSE + user_id.encode(), hashlib.sha256)[:16]))


def load_key(path: Path) -> bytes:
    """The secret key of this installation, made on first use with mode 0600. Raises ValueError on a damaged file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise ValueError(f"{path} holds {len(key)} bytes, a pseudonym key has {KEY_BYTES}") from None
        return key
    key = secrets.token_bytes(KEY_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key
