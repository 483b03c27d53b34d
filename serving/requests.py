"""Requests as they come in: headers and body checked, decoded into typed values, or a problem that names the field.

400 is a body that is no JSON; 422 is JSON that breaks the contract. The typed decoder reads good requests in one pass;
only a refused one is read a second time, to tell the two apart and to name the field.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from data_contracts.keys import CONSENT, CONSENTS, DENIED, UNSTATED
from serving.problems import FieldError, ProblemError, invalid

DEEPEST = 32
LARGEST_NUMBER = 10**12
LAST_POSITION = 1000
LONGEST_LOC = 200
LONGEST_LENGTH = 19
"""Digits of a Content-Length that is a number of bytes and no attack."""

Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
FeatureValue = (
    Annotated[str, msgspec.Meta(max_length=256)]
    | Annotated[int, msgspec.Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
    | Annotated[float, msgspec.Meta(ge=-float(LARGEST_NUMBER), le=float(LARGEST_NUMBER))]
    | bool
)
FeatureMap = Annotated[dict[Identifier, FeatureValue], msgspec.Meta(max_length=256)]


class AdBody(msgspec.Struct, forbid_unknown_fields=True):
    """One ad of a slate; its features go over the request's."""

    ad_id: Identifier
    features: FeatureMap = {}


class PredictBody(msgspec.Struct, forbid_unknown_fields=True):
    """POST /predict: one ad by `ad_id`, or a slate of `ads`."""

    user_id: Identifier
    ad_id: Identifier | msgspec.UnsetType = msgspec.UNSET
    ads: Annotated[list[AdBody], msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    features: FeatureMap = {}


Features = Mapping[str, str | int | float | bool]


class Candidate(msgspec.Struct, frozen=True):
    """An ad to score; `position` is the slot, 1 is the best. Its own `features` go over the request's."""

    ad_id: str
    position: int
    features: Features = {}


class PredictRequest(msgspec.Struct, frozen=True):
    """A request that may be scored. `user_id` is raw: it goes to data_contracts.pseudonym and nowhere else."""

    user_id: str
    features: Features
    candidates: Sequence[Candidate]
    is_slate: bool


DECODER = msgspec.json.Decoder(PredictBody)
JSON_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises where a body is no JSON, or not of its type."""


def check_content_type(headers: Mapping[bytes, bytes]) -> None:
    """Only uncompressed UTF-8 JSON; raises ProblemError 415."""
    content_type = headers.get(b"content-type", b"")
    if content_type != b"application/json" and not _is_json_in_utf8(content_type):
        raise ProblemError(415, "unsupported_media_type", "send application/json in UTF-8")
    if b"content-encoding" in headers:
        raise ProblemError(415, "unsupported_media_type", "send the body without a Content-Encoding")


def _is_json_in_utf8(content_type: bytes) -> bool:
    media_type, _, parameters = content_type.decode("latin-1").lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    return media_type.strip() == "application/json" and charset in ("", "charset=utf-8")


def is_within(content_length: bytes, limit: int) -> bool:
    """Does a Content-Length, which the parser lets be digits only, say `limit` bytes at most?"""
    return len(content_length) <= LONGEST_LENGTH and int(content_length) <= limit


def parsed(body: bytes, default_position: int, slate_limit: int) -> PredictRequest:
    """The request in `body`; raises ProblemError 400 or 422. Of a key given twice the last value counts."""
    try:
        decoded = DECODER.decode(body)
    except JSON_ERRORS as error:
        raise refusal(body, error) from None
    if b"\\u0000" in body:
        refuse_nul(msgspec.json.decode(body), "")
    if (decoded.ads is msgspec.UNSET) == (decoded.ad_id is msgspec.UNSET):
        raise invalid("ad_id", "missing" if decoded.ads is msgspec.UNSET else "give_ad_id_or_ads_not_both")
    features = decoded.features
    position = _position(features, "features", default_position)
    _check_consent(features, "features")
    if decoded.ads is msgspec.UNSET:
        return PredictRequest(decoded.user_id, features, [Candidate(str(decoded.ad_id), position)], is_slate=False)
    if len(decoded.ads) > slate_limit:
        raise invalid("ads", "too_many")
    candidates = [
        _candidate(ad, f"ads[{number}].features", position) if ad.features else Candidate(ad.ad_id, position)
        for number, ad in enumerate(decoded.ads)
    ]
    return PredictRequest(decoded.user_id, features, candidates, is_slate=True)


def _candidate(ad: AdBody, loc: str, position: int) -> Candidate:
    _check_consent(ad.features, loc)
    return Candidate(ad.ad_id, _position(ad.features, loc, position), ad.features)


def opted_out(request: PredictRequest) -> PredictRequest:
    """The same of a user who denies consent, whatever else is stated of it."""
    candidates = [
        Candidate(each.ad_id, each.position, {**each.features, CONSENT: DENIED}) if CONSENT in each.features else each
        for each in request.candidates
    ]
    return PredictRequest(request.user_id, {**request.features, CONSENT: DENIED}, candidates, request.is_slate)


FEATURE_TEXTS: Mapping[type, Callable[[Any], str]] = {
    str: str,
    bool: {False: "false", True: "true"}.__getitem__,
    int: str,
    float: str,
}


def feature_text(value: str | int | float | bool) -> str:
    """The one form in which a feature is text: as it is; true or false; the digits of an integer; the shortest decimal
    that reads back to the same number, which for a whole one is `2.0`."""
    return FEATURE_TEXTS[type(value)](value)


def _check_consent(features: Mapping[str, Any], loc: str) -> None:
    """A slip in this one must not be taken for consent."""
    if features.get(CONSENT, UNSTATED) not in CONSENTS:
        raise invalid(f"{loc}.{CONSENT}", "not_allowed")


def _position(features: Mapping[str, Any], loc: str, default: int) -> int:
    position = features.get("position", default)
    if type(position) is not int:
        raise invalid(f"{loc}.position", "wrong_type")
    if not 1 <= position <= LAST_POSITION:
        raise invalid(f"{loc}.position", "out_of_range")
    return position


def refusal(body: bytes, error: Exception) -> ProblemError:
    """Why the typed decoder refused `body`."""
    try:
        value = msgspec.json.decode(body)
    except JSON_ERRORS:
        return ProblemError(400, "malformed_json", "the body is empty, cut short, or no JSON in UTF-8")
    if _is_deeper(value, DEEPEST):
        return ProblemError(400, "malformed_json", f"the body is nested deeper than {DEEPEST}")
    found = _field_error(str(error), value)
    return ProblemError(422, "invalid_request", f"{found.loc}: {found.code}", (found,))


def _is_deeper(value: Any, levels: int) -> bool:
    """Does `value` hold arrays or objects nested more than `levels` deep? Level by level, so no depth can hurt."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(layer)


CODES = (
    (re.compile(r"Object missing required field `(.*)`"), "missing"),
    (re.compile(r"Object contains unknown field `(.*)`", re.DOTALL), "unknown_field"),
    (re.compile(r"Expected `\w+` of length"), "wrong_length"),
    (re.compile(r"Expected `datetime` with a timezone"), "no_time_zone"),
    (re.compile(r"Invalid RFC3339"), "not_a_time"),
    (re.compile(r"Invalid enum value"), "not_allowed"),
    (re.compile(r"Expected `(?:int|float)` [<>]=|Number out of range|Integer value out of range"), "out_of_range"),
    (re.compile(r"Expected "), "wrong_type"),
)


def _field_error(message: str, value: Any) -> FieldError:
    """msgspec's message as path and code; below the root it ends in, say, " - at `$.ads[0].features[...]`"."""
    what, _, where = message.rpartition(" - at ") if " - at " in message else (message, "", "")
    path = where.rpartition("`$")[2].strip("`").lstrip(".")
    match, code = next(((found, code) for text, code in CODES if (found := text.match(what))), (None, "invalid"))
    if match is not None and match.groups():
        path = ".".join(filter(None, (path, match.group(1))))
    if path.endswith("[...]"):
        path = _named_feature(path.removesuffix("[...]"), value)
    return FieldError(path[:LONGEST_LOC] or "body", code)


def _named_feature(path: str, value: Any) -> str:
    """The path of the first feature in the object at `path` whose value is none; `path` when there is no such thing,
    as a client can bring about with a field name that reads like a path."""
    try:
        for step in re.findall(r"\w+", path):
            value = value[int(step)] if isinstance(value, list) else value[step]
        features = dict(value)
    except (KeyError, IndexError, TypeError, ValueError):
        return path
    for name, feature in features.items():
        try:
            msgspec.convert(feature, FeatureValue)
        except msgspec.ValidationError:
            return f"{path}.{name}"
    return path


def refuse_nul(value: Any, path: str) -> None:
    """No text that goes into a table may hold U+0000."""
    if isinstance(value, str) and "\0" in value:
        raise invalid(path, "nul_character")
    if isinstance(value, dict):
        for name, inner in value.items():
            if "\0" in name:
                raise invalid(path or "body", "nul_character")
            refuse_nul(inner, f"{path}.{name}" if path else name)
    if isinstance(value, list):
        for number, inner in enumerate(value):
            refuse_nul(inner, f"{path}[{number}]")
