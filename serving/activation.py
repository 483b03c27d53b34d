"""PUT /model/activate/{version}: makes a registered version the champion, by its verdict or over it by a named person.

The version is loaded and proven before the alias moves: one that cannot score leaves the champion as it is.
"""

import asyncio
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec

from data_contracts.model_versions import CHAMPION, PREVIOUS
from data_contracts.settings import Settings
from serving.models import ModelWatch
from serving.problems import ProblemError, Response, invalid, json_response
from serving.registry_problems import registry_problems, version_number
from serving.requests import JSON_ERRORS, refusal

IN_USE_SECONDS = 5.0
"""How long to wait until this process answers by the version."""
ETAG_ANY = "*"


class ActivateBody(msgspec.Struct, forbid_unknown_fields=True):
    """`reason` is why a verdict that waits for a person is overruled."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)] | None = None


class Activated(msgspec.Struct, frozen=True):
    """The champion from now on, and the one before; `is_in_use` says whether the worker that was asked has it."""

    version: str
    previous: str | None
    is_in_use: bool


DECODER = msgspec.json.Decoder(ActivateBody)


def etag(version: str | None) -> str:
    """Of the champion, as GET /model/active gives it and If-Match names it."""
    return f'"{version or "none"}"'


@contextmanager
def alone(settings: Settings, name: str) -> Iterator[None]:
    """One at a time, over all workers of a home."""
    folder = settings.home / "serving"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Activator:
    """Moves the alias for whoever may; one at a time, over all workers of a home."""

    def __init__(self, settings: Settings, models: ModelWatch) -> None:
        self._settings, self._models = settings, models

    async def activate(self, version: str, body: bytes, if_match: str, who: str, may_override: bool) -> Response:
        """`who` asks, by the name of a key. Raises ProblemError 404, 409, 412, 422 and 503."""
        version_number(version)
        if if_match not in ("", ETAG_ANY) and not if_match.endswith('"'):
            raise invalid("header.if-match", "not_an_etag")
        try:
            reason = DECODER.decode(body).reason if body else None
        except JSON_ERRORS as error:
            raise refusal(body, error) from None
        if reason and not may_override:
            raise ProblemError(403, "forbidden", "to overrule a verdict takes a key with the role admin")
        before = await asyncio.to_thread(self._promoted, version, if_match, f"{who}: {reason}" if reason else "")
        is_in_use = await self._is_in_use(version)
        answer = json_response(Activated(version, before, is_in_use), 200 if is_in_use else 202)
        return Response(answer.status, answer.body, headers={"etag": etag(version)})

    def _promoted(self, version: str, if_match: str, approved_by: str) -> str | None:
        """The version that was champion before."""
        from data_contracts import registry

        with registry_problems(), alone(self._settings, "activate"):
            given = registry.aliases(self._settings)
            before = given.get(CHAMPION)
            if if_match not in ("", ETAG_ANY, etag(before)):
                raise ProblemError(412, "precondition_failed", f"the champion is version {before or 'none'}")
            found = registry.version(self._settings, version)
            if before == version:
                return given.get(PREVIOUS)
            if problem := self._models.problem_of(found):
                raise ProblemError(409, "model_unusable", f"version {version} cannot be used: {problem}")
            registry.promote(self._settings, version, approved_by)
            return before

    async def _is_in_use(self, version: str) -> bool:
        deadline = time.monotonic() + IN_USE_SECONDS
        while self._models.current is None or self._models.current.version != version:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True
