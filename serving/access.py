"""Who may ask what: the role that a route needs, and whether the key of a request has it.

With `serving.access` "open" everyone may ask everything: conf takes that on loopback only.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from data_contracts.api_keys import ADMIN, ApiKey, KeyRing, key_ring
from data_contracts.sections import OPEN
from data_contracts.settings import Settings
from serving.problems import ProblemError

LOGGER = logging.getLogger(__name__)
ANY_KEY = "any"
"""In place of a role: every key that holds will do."""
ROLES: Mapping[str, str | None] = MappingProxyType(
    {
        "/predict": "predict",
        "/invocations": "predict",
        "/event/": "ingest",
        "/catalog/": "ingest",
        "/metrics": ANY_KEY,
        "/model/active": ANY_KEY,
        "/model/upload": "model:upload",
        "/model/activate/": "model:activate",
        "/model/versions/": ANY_KEY,
        "/health": None,
        "/healthz/live": None,
        "/healthz/ready": None,
        "/ping": None,
        "/version": None,
        "/docs": None,
        "/redoc": None,
        "/openapi.json": None,
    }
)
"""What asking for a path takes; None is open to all. A path that ends in / stands for each one right below it."""
REMEMBERED_HEADERS = 10_000
UNKNOWN = "send `Authorization: Bearer KEY` with a key that is known and has not expired"


@lru_cache(maxsize=1024)
def role_for(path: str) -> str | None:
    """What ROLES says of `path`; of what it does not name only an admin may ask."""
    if path in ROLES:
        return ROLES[path]
    return ROLES.get(path[: path.rfind("/") + 1], ADMIN)


class Access:
    """The keys in use; `problem` says why they are not those of the file, where it cannot be read.

    Raises ValueError or OSError where it cannot be read at the start.
    """

    def __init__(self, settings: Settings) -> None:
        self._is_open = settings.serving.access == OPEN
        self._path = settings.api_keys
        self._stat = _stat(self._path)
        self.problem = ""
        self._use(KeyRing({}) if self._is_open else key_ring(self._path))

    def check(self, role: str | None, authorization: bytes | None) -> None:
        """Raises ProblemError 401 where no key that holds was sent, 403 where it has not this role."""
        refusal = self.refusal(role, authorization)
        if refusal is not None:
            raise refusal

    def refusal(self, role: str | None, authorization: bytes | None) -> ProblemError | None:
        """Why a request with this header may not ask what takes this role, if it may not."""
        if self._is_open or role is None:
            return None
        key = self._key(authorization or b"")
        roles = None if key is None else key.roles_at(datetime.now(UTC))
        if roles is None:
            return ProblemError(401, "unauthorized", UNKNOWN, headers={"www-authenticate": "Bearer"})
        if role in roles or role == ANY_KEY:
            return None
        return ProblemError(403, "forbidden", f"this takes a key with the role {role}")

    def asker(self, authorization: bytes | None) -> tuple[str, bool]:
        """Who asks, by the id and name of the key, and whether as an admin: with open access everyone is one."""
        if self._is_open:
            return "open access", True
        key = self._key(authorization or b"")
        if key is None:
            return "nobody", False
        return f"key {key.id} ({key.name})" if key.name else f"key {key.id}", ADMIN in key.roles

    def _key(self, authorization: bytes) -> ApiKey | None:
        ring, remembered = self._in_use
        return remembered.get(authorization) or _found(ring, remembered, authorization)

    def reload(self) -> None:
        """Takes the keys of the file over if it has changed; while it cannot be read, those in use stay."""
        if self._is_open:
            return
        try:
            if (stat := _stat(self._path)) != self._stat or self.problem:
                self._use(key_ring(self._path))
                self._stat, self.problem = stat, ""
        except (ValueError, OSError) as error:
            if str(error) != self.problem:
                LOGGER.error("the keys stay as they were: %s", error)
            self.problem = str(error)

    def _use(self, ring: KeyRing) -> None:
        """What is remembered goes with its ring, in one assignment: a look-up under way cannot carry a key over."""
        self._in_use: tuple[KeyRing, dict[bytes, ApiKey]] = ring, {}


def _found(ring: KeyRing, remembered: dict[bytes, ApiKey], authorization: bytes) -> ApiKey | None:
    """The key in a header. Only one that is known is remembered: nobody without a key can push those out."""
    scheme, _, text = authorization.partition(b" ")
    key = ring.find(text.strip().decode("latin-1")) if scheme.lower() == b"bearer" else None
    if key is not None:
        if len(remembered) >= REMEMBERED_HEADERS:
            remembered.clear()
        remembered[authorization] = key
    return key


def _stat(path: Path) -> tuple[int, ...]:
    """Another one for each file that was put at `path`; that of no file is empty."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
