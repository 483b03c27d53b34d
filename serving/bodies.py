"""Bodies as ASGI brings them: whole and within their limit, or a refusal."""

import logging
from collections.abc import Mapping
from typing import Any

from serving.loaded_model import AsgiApplication, Message, Receive, Send
from serving.problems import ProblemError
from serving.requests import check_content_type, is_within

LOGGER = logging.getLogger(__name__)
SERVER_ERROR = 500


class DisconnectedError(Exception):
    """The client went away before its request was whole."""


def check_any_content_type(scope: Message) -> None:
    """MLflow answers a POST without a Content-Type with 500."""
    if scope["method"] == "POST" and b"content-type" not in dict(scope["headers"]):
        raise ProblemError(415, "unsupported_media_type", "send a Content-Type")


async def json_body(scope: Message, receive: Receive, limit: int) -> bytes:
    """As whole_body; raises ProblemError 415 where it is not said to be JSON."""
    check_content_type(dict(scope["headers"]))
    return await whole_body(scope, receive, limit)


async def whole_body(scope: Message, receive: Receive, limit: int) -> bytes:
    """The whole body; raises ProblemError 413 as soon as it is known to be over `limit` bytes."""
    headers = dict(scope["headers"])
    if not is_within(headers.get(b"content-length", b"0"), limit):
        raise _too_large(limit)
    message: Mapping[str, Any] = await receive()
    parts = [message.get("body", b"")]
    size = len(parts[0])
    while size <= limit and message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    if message["type"] == "http.disconnect":
        raise DisconnectedError
    if size > limit:
        raise _too_large(limit)
    return b"".join(parts)


def received_already(body: bytes, receive: Receive) -> Receive:
    """What MLflow receives: a body that is here already, since it fails where a client goes away before that."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return parts.pop() if parts else await receive()

    return received


async def answered_by_mlflow(
    application: AsgiApplication, scope: Message, body: bytes, receive: Receive, send: Send
) -> int:
    """Sends MLflow's own answer; its status. In place of the 500 that it gives to some bodies of a form that it does
    not expect (columns that are no names) a ProblemError 400. What a model itself raises MLflow tells with 400."""
    status = 0

    async def sent(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        if status != SERVER_ERROR:
            await send(message)

    try:
        await application(scope, received_already(body, receive), sent)
    except Exception:
        if status != SERVER_ERROR:
            raise
        LOGGER.warning("MLflow failed on a body", exc_info=True)
    if status == SERVER_ERROR:
        raise ProblemError(400, "malformed_request", "MLflow cannot read a body of this form")
    return status


def _too_large(limit: int) -> ProblemError:
    return ProblemError(413, "body_too_large", f"at most {limit} bytes", headers={"connection": "close"})
