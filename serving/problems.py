"""What an answer is, and how a refusal is told: `application/problem+json` (RFC 9457) that never repeats a value."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from data_contracts.landing import EncodedRows

LOGGER = logging.getLogger(__name__)
RETRY_AFTER = {"retry-after": "1"}


@dataclass(slots=True)
class Response:
    """A whole HTTP answer. Not frozen: that takes a microsecond to make, a fiftieth of an event."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None

    @property
    def hangs_up(self) -> bool:
        return self.headers is not None and self.headers.get("connection") == "close"

    def messages(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The two ASGI messages that send it."""
        headers = [(b"content-type", self.content_type.encode()), (b"content-length", b"%d" % len(self.body))]
        headers += [(name.encode(), value.encode()) for name, value in (self.headers or {}).items()]
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        return start, {"type": "http.response.body", "body": self.body}


@dataclass(slots=True)
class OnceStored:
    """An answer that is given once `rows` are on disk; where they could not be stored, what `refused` makes of why."""

    rows: Sequence[EncodedRows]
    response: Response
    refused: Callable[[Exception], "ProblemError"]


def json_response(content: Any, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(content))


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field: its path in the request and a code; never its value."""

    loc: str
    code: str


class Problem(msgspec.Struct, frozen=True):
    """A refusal: `type` names the reason, `errors` the fields at fault."""

    type: str
    title: str
    status: int
    detail: str
    errors: Sequence[FieldError]


class ProblemError(Exception):
    """A refusal on its way to the client."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str = "",
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {kind}")
        self.status, self.kind, self.detail, self.errors, self.headers = status, kind, detail, errors, headers

    def response(self) -> Response:
        content = Problem(self.kind, HTTPStatus(self.status).phrase, self.status, self.detail, self.errors)
        return Response(self.status, msgspec.json.encode(content), "application/problem+json", self.headers)


def invalid(loc: str, code: str) -> ProblemError:
    """A request that is JSON but breaks the contract in the field `loc`."""
    return ProblemError(422, "invalid_request", f"{loc}: {code}", (FieldError(loc, code),))


def unavailable(kind: str, detail: str) -> ProblemError:
    """Not now: the client may try again."""
    return ProblemError(503, kind, detail, headers=RETRY_AFTER)


def overloaded() -> ProblemError:
    """More is asked than can be answered in time."""
    return unavailable("overloaded", "more is asked than can be answered in time")


OVERLOADED = overloaded().response()


def failed(error: Exception) -> Response:
    """The answer to a request that ended in `error`; of what is no refusal only the log says more."""
    if isinstance(error, ProblemError):
        return error.response()
    LOGGER.error("a request failed", exc_info=error)
    return ProblemError(500, "internal_error", "the server's log says more", headers={"connection": "close"}).response()
