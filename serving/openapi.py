"""GET /openapi.json and /docs: what serving takes and answers, for programs and for people."""

from collections.abc import Mapping
from typing import Any

import msgspec

from data_contracts.settings import Settings
from data_contracts.tables import CONTRACT_VERSION
from serving.access import ANY_KEY, role_for
from serving.docs_page import HEADERS, page
from serving.loaded_model import Message, Receive
from serving.models import ModelWatch
from serving.openapi_examples import Examples, examples
from serving.openapi_routes import KEYED, Operation, operations, told_answers
from serving.openapi_schemas import Schema, component_schemas
from serving.problems import Response

FRESH = {"cache-control": "no-store"}
"""The examples are of now."""
NO_PUNCTUATION = str.maketrans("/.", "__", "{}")
UNTIL_A_MODEL = ("position", "timestamp")
ABOUT = (
    "Scores out, events in. A refusal is a problem document (RFC 9457) that never repeats a value. Text may not hold "
    "U+0000. The examples are of now and have ids of their own: they may be sent as they stand; what is of a version, "
    "or a file, asks for it."
)


class ApiPages:
    """Both pages of one serving process."""

    def __init__(self, settings: Settings, models: ModelWatch) -> None:
        self._settings, self._models = settings, models
        self._operations, self._schemas = operations(settings.serving), component_schemas(settings.serving)

    async def document(self, scope: Message, receive: Receive) -> Response:
        return Response(200, msgspec.json.encode(self._document()), headers=FRESH)

    async def page(self, scope: Message, receive: Receive) -> Response:
        return Response(200, page(self._document()).encode(), "text/html; charset=utf-8", {**FRESH, **HEADERS})

    def _document(self) -> Mapping[str, Any]:
        champion = self._models.current
        names = UNTIL_A_MODEL if champion is None else champion.input_names
        bodies = examples(self._settings.clock.now(), names)
        return openapi_document(self._operations, self._schemas, bodies)


def openapi_document(
    routes: Mapping[str, Mapping[str, Operation]], schemas: Mapping[str, Schema], bodies: Mapping[str, Examples]
) -> Mapping[str, Any]:
    """OpenAPI 3.1; `bodies` are the examples of each path."""
    paths = {
        path: {method.lower(): _operation(path, method, told, bodies.get(path, {})) for method, told in methods.items()}
        for path, methods in routes.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Clicklake serving", "version": CONTRACT_VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(path: str, method: str, told: Operation, bodies: Examples) -> Mapping[str, Any]:
    role = role_for(path)
    answers = {**(KEYED if role else {}), **told_answers(told)}
    operation: dict[str, Any] = {
        "operationId": method.lower() + path.translate(NO_PUNCTUATION),
        "summary": told.summary,
        "description": told.about + _key_told(role),
        "responses": {str(status): answer for status, answer in sorted(answers.items())},
    }
    if role:
        operation["security"] = [{}, {"key": []}]
    if told.parameters:
        operation["parameters"] = told.parameters
    if told.body is not None:
        shown = {title: {"value": body} for title, body in bodies.items()}
        content = {told.media_type: {"schema": told.body, "examples": shown}}
        operation["requestBody"] = {"required": told.is_body_required, "content": content}
    return operation


def _key_told(role: str | None) -> str:
    if role is None:
        return ""
    return f" Where serving takes keys: {'any' if role == ANY_KEY else f'one with the role `{role}`'}."
