"""API keys and their roles: a key is shown once, when it is made; what stays is its hash, beside the pseudonym key.

A key carries 256 random bits, so a plain SHA-256 keeps it: nobody can guess what a slow hash would protect.
"""

import fcntl
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data_contracts.disk import replace_whole
from data_contracts.sections import parsed_instant

ADMIN = "admin"
"""The role that may do what any role may."""
ROLES = ("predict", "ingest", "analytics", "model:upload", "model:activate", "privacy", ADMIN)
ALL_ROLES = frozenset(ROLES)

SECRET_BYTES = 32
ID = re.compile(r"[0-9a-f]{8}")
KEY = re.compile(rf"clk_({ID.pattern})_[A-Za-z0-9_-]{{43}}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key: `sha256` is of its whole text; without `expires_at` it holds until it is removed."""

    id: str
    name: str
    roles: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    sha256: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.roles or not self.roles <= ALL_ROLES:
            raise ValueError(f"a key has one or more of the roles {', '.join(ROLES)}")
        if not ID.fullmatch(self.id) or not SHA256.fullmatch(self.sha256) or not isinstance(self.name, str):
            raise ValueError("an id is 8, a hash 64 hexadecimal digits, a name is text")

    def roles_at(self, now: datetime) -> frozenset[str] | None:
        """What it may do, all for an admin; None once it has expired."""
        if self.expires_at is not None and self.expires_at <= now:
            return None
        return ALL_ROLES if ADMIN in self.roles else self.roles


@dataclass(frozen=True)
class KeyRing:
    """The keys that hold, by their ids."""

    keys: Mapping[str, ApiKey]

    def find(self, key: str) -> ApiKey | None:
        """The key with this text, expired or not; None for what is unknown or no key at all."""
        match = KEY.fullmatch(key)
        known = self.keys.get(match[1]) if match else None
        return known if known is not None and hmac.compare_digest(known.sha256, _sha256(key)) else None

    def roles_of(self, key: str, now: datetime) -> frozenset[str] | None:
        """What the key with this text may do; None where it is unknown, expired or no key at all."""
        known = self.find(key)
        return None if known is None else known.roles_at(now)


def key_ring(path: Path) -> KeyRing:
    """The keys in the file at `path`, none where there is no file. Raises ValueError on a damaged one."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return KeyRing(MappingProxyType({}))
    try:
        keys = [_read(entry) for entry in json.loads(text)["keys"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({error}): put a copy back, or delete it and add keys anew") from None
    return KeyRing(MappingProxyType({key.id: key for key in keys}))


def listed(path: Path) -> tuple[ApiKey, ...]:
    """The keys in the order in which they were added; ValueError on a damaged file."""
    return tuple(key_ring(path).keys.values())


def add(path: Path, roles: Collection[str], name: str, now: datetime, expires_at: datetime | None = None) -> str:
    """A new key, on the disk when this returns; its text is nowhere else. ValueError on a role that is none."""
    with _changed(path) as keys:
        while (id_ := secrets.token_hex(4)) in keys:
            pass
        key = f"clk_{id_}_{secrets.token_urlsafe(SECRET_BYTES)}"
        keys[id_] = ApiKey(id_, name, frozenset(roles), now, expires_at, _sha256(key))
    return key


def remove(path: Path, id_: str) -> None:
    """Revoke the key of this id, on the disk when this returns. ValueError where there is none."""
    with _changed(path) as keys:
        if keys.pop(id_, None) is None:
            raise ValueError("there is no key with this id")


@contextmanager
def _changed(path: Path) -> Iterator[dict[str, ApiKey]]:
    """The keys by id, for one writer at a time to change; they are written when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = dict(key_ring(path).keys)
        yield keys
        replace_whole(path, json.dumps({"keys": [_written(key) for key in keys.values()]}, indent=1), mode=0o600)


def _written(key: ApiKey) -> dict[str, Any]:
    expires_at = key.expires_at.isoformat() if key.expires_at else None
    return {**vars(key), "roles": sorted(key.roles), "created_at": key.created_at.isoformat(), "expires_at": expires_at}


def _read(entry: Mapping[str, Any]) -> ApiKey:
    expires_at = parsed_instant(entry["expires_at"]) if entry["expires_at"] is not None else None
    read = {"roles": frozenset(entry["roles"]), "created_at": parsed_instant(entry["created_at"])}
    return ApiKey(**{**entry, **read, "expires_at": expires_at})


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
