"""What each route takes and answers: an entry a route, of which the OpenAPI document and the page are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from data_contracts.sections import Serving
from serving.collector import TABLES
from serving.openapi_schemas import Schema, one_or_array, schema_of

Answers = Mapping[int, Schema]
"""What OpenAPI calls Response Objects, by status."""


@dataclass(frozen=True)
class Operation:
    """A method of a path. `answers` are its own; those of EVERY_ROUTE, and with a `body` those of EVERY_BODY, it has
    besides. What it is asked besides a body is in `parameters`, as OpenAPI writes them."""

    summary: str
    about: str
    answers: Answers
    body: Schema | None = None
    media_type: str = "application/json"
    parameters: tuple[Schema, ...] = ()
    is_body_required: bool = True


def answer(about: str, schema: Schema | None = None, media_type: str = "application/json") -> Schema:
    """Without a schema the body is none of JSON's."""
    return {"description": about, "content": {media_type: {} if schema is None else {"schema": schema}}}


def refusal(about: str, headers: Mapping[str, str] | None = None) -> Schema:
    """A problem document, with headers that are always there and what they say."""
    told = {
        name: {"description": says, "required": True, "schema": {"type": "string"}}
        for name, says in (headers or {}).items()
    }
    return {**answer(about, schema_of("Problem"), "application/problem+json"), "headers": told}


HASH, INSTANT = "^[0-9a-f]{64}$", {"type": "string", "format": "date-time"}
MALFORMED_HTTP = "no HTTP/1.1 (`malformed_http`); the connection is closed"
EVERY_ROUTE: Answers = {
    400: refusal(MALFORMED_HTTP),
    408: refusal("a head, or a body, that was not whole in time; the connection is closed"),
    414: refusal("a URL over 8 KiB; the connection is closed"),
    431: refusal("headers over 16 KiB; the connection is closed"),
}
EVERY_BODY: Answers = {
    400: refusal(f"the body is no JSON (`malformed_json`); {MALFORMED_HTTP}"),
    413: refusal("a body, or an array, over its limit"),
    415: refusal("not `application/json` in UTF-8, or with a `Content-Encoding`"),
    422: refusal("JSON that breaks the contract; `errors` names the first field at fault"),
}
KEYED: Answers = {
    401: refusal('with `serving.access` "keys": no key, or one that does not hold'),
    403: refusal('with `serving.access` "keys": a key without the role'),
}
RETRIED: Answers = {
    503: refusal("not stored, or nothing can answer: ask again", {"Retry-After": "seconds to wait"}),
}


def operations(limits: Serving) -> Mapping[str, Mapping[str, Operation]]:
    """By path and method."""
    return {
        "/predict": {"POST": _predict()},
        **{path: {"POST": _collected(path, limits.event_batch_limit)} for path in TABLES},
        "/model/active": {"GET": ACTIVE_MODEL},
        "/model/activate/{version}": {"PUT": ACTIVATE},
        "/model/upload": {"POST": UPLOAD},
        "/model/versions/{version}": {"GET": VERSION_STATUS},
        "/health": {"GET": HEALTH},
        "/healthz/live": {"GET": LIVE},
        "/healthz/ready": {"GET": READY},
        "/metrics": {"GET": METRICS},
        "/invocations": {"POST": _invocations()},
        "/ping": {"GET": PING},
        "/version": {"GET": VERSION},
        "/openapi.json": {"GET": DOCUMENT},
        "/docs": {"GET": PAGE},
    }


ACTIVE_MODEL = Operation(
    "The champion in use",
    "Its version, run, metrics and verdict.",
    {200: answer("the champion", schema_of("ActiveModel")), 404: refusal("there is none; `detail` says why")},
)
HEALTH = Operation(
    "What this process has",
    "Answered while the process lives, whatever it lacks.",
    {200: answer("model, registry, snapshot and landing", schema_of("Health"))},
)
VERSION_IN_PATH = {
    "name": "version",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9]{1,9}$"},
}
ACTIVATE = Operation(
    "Makes a version the champion",
    "By its verdict, or over one that waits for a person by a `reason` and a key with the role `admin`. Send the ETag "
    "of /model/active as If-Match. The version is loaded and proven before the alias moves.",
    {
        200: answer("it is the champion, and answers", schema_of("Activated")),
        202: answer("it is the champion, and does not answer here yet", schema_of("Activated")),
        403: refusal("a key without the role, or to overrule a verdict one that is no admin's"),
        404: refusal("there is no such version"),
        409: refusal("its verdict does not let it (`not_promotable`, `override_needed`), or it cannot be used"),
        412: refusal("If-Match names another champion"),
        503: refusal("MLflow does not answer", {"Retry-After": "seconds to wait"}),
    },
    schema_of("ActivateBody"),
    parameters=(
        VERSION_IN_PATH,
        {"name": "If-Match", "in": "header", "required": False, "schema": {"type": "string"}},
    ),
    is_body_required=False,
)
UPLOAD = Operation(
    "Takes a model that was trained elsewhere",
    "A file as XGBoost saved it (JSON or UBJ), of a feature set that is known here. It is checked, loaded and scored "
    "in a process of its own, calibrated on the newest mature window and registered; the gate's verdict follows. It is "
    "never active by itself.",
    {
        200: answer("this very model is a version already", schema_of("VersionStatus")),
        201: answer("a new version, under evaluation", schema_of("VersionStatus")),
        413: refusal("over 64 MiB"),
        415: refusal("not `application/octet-stream`, or no model file of XGBoost's (`unsupported_kind`)"),
        422: refusal("a model that is not served, and why; an unknown feature set; another `Content-Digest`"),
        503: refusal("MLflow or the lake does not answer; nothing is left behind", {"Retry-After": "seconds to wait"}),
    },
    {"type": "string", "format": "binary"},
    "application/octet-stream",
    parameters=(
        {"name": "feature_set", "in": "query", "required": True, "schema": {"type": "string", "pattern": HASH}},
        {"name": "trained_through", "in": "query", "required": True, "schema": INSTANT},
        {"name": "Content-Digest", "in": "header", "required": False, "schema": {"type": "string"}},
    ),
)
VERSION_STATUS = Operation(
    "A registered version",
    "How far its evaluation has come, and the gate's verdict.",
    {
        200: answer("the version", schema_of("VersionStatus")),
        404: refusal("there is no such version"),
        422: refusal("no number"),
        **RETRIED,
    },
    parameters=(VERSION_IN_PATH,),
)
LIVE = Operation("Is this process alive", "For a probe.", {200: answer("it is", {"type": "object"})})
READY = Operation(
    "Should this process get requests",
    "For a load balancer.",
    {200: answer("yes", schema_of("Readiness")), 503: answer("no, for these reasons", schema_of("Readiness"))},
)
METRICS = Operation("Metrics", "For Prometheus.", {200: answer("as text", {"type": "string"}, "text/plain")})
PING = Operation("Is there a model", "MLflow's own.", {200: answer("an empty line"), **RETRIED})
VERSION = Operation("The version of MLflow", "MLflow's own.", {200: answer("as bare text"), **RETRIED})
DOCUMENT = Operation("This document", "OpenAPI 3.1.", {200: answer("the document", {"type": "object"})})
PAGE = Operation("This page", "All routes, to try.", {200: answer("the page", {"type": "string"}, "text/html")})


def _predict() -> Operation:
    scored = {"oneOf": [schema_of("SingleAnswer"), schema_of("Answer")]}
    return Operation(
        "Probabilities of one ad or of a slate",
        "`ad_id` asks for one ad, `ads` for a slate; an ad's own `features` go over the request's. Unknown users, ads "
        "and features are answered; with `Sec-GPC: 1` by context alone. Answered once the record is on disk.",
        {200: answer("scored: one ad's fields, or `predictions`", scored), **RETRIED},
        schema_of("PredictBody"),
        parameters=(
            {"name": "Sec-GPC", "in": "header", "required": False, "schema": {"type": "string"}, "example": "1"},
        ),
    )


KINDS = {
    "/event/impression": ("Impressions", "Ads that were shown. `impression_id` is what /predict gave, or a UUID."),
    "/event/click": ("Clicks", "A click names its impression, and may come before it."),
    "/catalog/ads": ("Ads", "What is known of ads; the newest word holds."),
    "/catalog/users": ("Users", "What is known of users; the newest word holds."),
}


def _collected(path: str, batch_limit: int) -> Operation:
    title, about = KINDS[path]
    one, many = schema_of("ItemAnswer"), {"type": "array", "items": schema_of("ItemAnswer"), "minItems": 1}
    alike = {"schema": many}
    either = {"oneOf": [one, many]}
    answers = {
        200: answer("known already, with the same content", either),
        201: answer("new, and on disk", either),
        207: answer("items of an array that differ, each with its status", many),
        422: EVERY_BODY[422],
        **RETRIED,
    }
    if not path.startswith("/catalog"):
        answers[409] = refusal("the id is known with other content")
    for status in {409, 422, 503} & answers.keys():
        answers[status] = answers[status] | {"content": {**answers[status]["content"], "application/json": alike}}
    how = f"One object, or an array of up to {batch_limit:,}, answered item by item. It is safe to send them again."
    return Operation(title, f"{about} {how}", answers, one_or_array(TABLES[path].name, batch_limit))


def _invocations() -> Operation:
    rows = {"type": "array", "items": {"type": "object"}}
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "data": {"type": "array", "items": {"type": "array"}},
        },
    }
    forms = {"dataframe_records": rows, "dataframe_split": split, "instances": rows}
    bodies = [{"type": "object", "required": [name], "properties": {name: form}} for name, form in forms.items()]
    told = {"type": "object", "required": ["predictions"], "properties": {"predictions": {"type": "array"}}}
    unread = {"type": "object", "required": ["error_code", "message"]}
    problem = EVERY_BODY[415]["content"]
    return Operation(
        "Scores of rows of inputs, as MLflow gives them",
        "MLflow's own scoring route, on the same loaded model. A row holds the model's inputs by name.",
        {
            200: answer("a prediction a row", told),
            400: {"description": "not for this model", "content": {"application/json": {"schema": unread}, **problem}},
            415: {"description": HTTPStatus(415).phrase, "content": {"text/plain": {}, **problem}},
            **RETRIED,
        },
        {"oneOf": bodies},
    )


def told_answers(operation: Operation) -> Mapping[int, Any]:
    """All that it may answer, by status."""
    of_body = EVERY_BODY if operation.body is not None else {}
    return dict(sorted({**EVERY_ROUTE, **of_body, **operation.answers}.items()))
