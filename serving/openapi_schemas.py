"""The schemas of the OpenAPI document: of the types that decode bodies and encode answers, with what the tables say of
their columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from data_contracts.schema import Column
from data_contracts.sections import Serving
from data_contracts.tables import AD_IMPRESSIONS, MODEL_PREDICTIONS
from serving.activation import ActivateBody, Activated
from serving.collector import TABLES, ItemAnswer
from serving.event_types import UUID_SHAPE, UUIDS, request_type
from serving.predictions import Answer, SingleAnswer
from serving.problems import Problem
from serving.requests import LAST_POSITION, PredictBody
from serving.status import ActiveModel, Health, Readiness
from serving.uploads import VersionStatus

Schema = dict[str, Any]

PLACE = "#/components/schemas/"
CANONICAL_UUID = "-".join(f"[0-9a-f]{{{len(part)}}}" for part in UUID_SHAPE.decode().strip(",").split("-"))
RAW_USER = "the raw id; it becomes its keyed pseudonym before anything is stored"


def schema_of(name: str) -> Schema:
    return {"$ref": PLACE + name}


def one_or_array(name: str, limit: int) -> Schema:
    """A body of one object, or of an array of them."""
    return {"oneOf": [schema_of(name), {"type": "array", "items": schema_of(name), "minItems": 1, "maxItems": limit}]}


def component_schemas(limits: Serving) -> Mapping[str, Schema]:
    """By name. What is taken has the names of its table; what is answered those of its types."""
    events = [request_type(table) for table in TABLES.values()]
    types = [*events, PredictBody, Answer, SingleAnswer, ItemAnswer, Problem]
    types += [Health, Readiness, ActiveModel, ActivateBody, Activated, VersionStatus]
    _, schemas = msgspec.json.schema_components(types, ref_template=PLACE + "{name}")
    for table in TABLES.values():
        schemas[table.name]["description"] = table.about
        _describe(schemas[table.name], table.columns)
        _restrict_ids(schemas[table.name])
    for name in ("Answer", "SingleAnswer", "Prediction"):
        _describe(schemas[name], MODEL_PREDICTIONS.columns)
    for name in ("PredictBody", "AdBody"):
        _describe(schemas[name], AD_IMPRESSIONS.columns)
    for name in ("PredictBody", *(table.name for table in TABLES.values())):
        if user := schemas[name]["properties"].get("user_id"):
            user["description"] = RAW_USER
    _restrict_slate(schemas, limits)
    return schemas


def _describe(schema: Schema, columns: Sequence[Column]) -> None:
    for column in columns:
        if field := schema["properties"].get(column.name):
            field["description"] = column.about
            bounds = {"minimum": column.minimum, "maximum": column.maximum, "enum": list(column.allowed) or None}
            told = {name: bound for name, bound in bounds.items() if bound is not None}
            if "anyOf" not in field:
                field.update(told)


def _restrict_ids(schema: Schema) -> None:
    """As are_canonical_uuids does, which the types leave to it."""
    for name in UUIDS & schema["properties"].keys():
        schema["properties"][name] |= {"format": "uuid", "pattern": f"^{CANONICAL_UUID}$"}


def _restrict_slate(schemas: Mapping[str, Schema], limits: Serving) -> None:
    """What serving.requests.parsed asks beyond the types."""
    position = {
        "type": "integer",
        "minimum": 1,
        "maximum": LAST_POSITION,
        "description": f"the slot, 1 is the best; without it {limits.default_position}",
    }
    for name in ("PredictBody", "AdBody"):
        schemas[name]["properties"]["features"]["properties"] = {"position": position}
    schemas["PredictBody"]["properties"]["ads"]["maxItems"] = limits.slate_limit
    schemas["PredictBody"]["oneOf"] = [{"required": ["ad_id"]}, {"required": ["ads"]}]
